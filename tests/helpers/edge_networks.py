"""Small generators of every kind that can be exported for edge devices, with realistic weights."""

import random
from functools import cache

import numpy as np
import pytest
from conditioned import PLAIN, conditioned

from spade_tf.layers.nested import nested_layers
from spade_tf.layers.normalization import BatchNorm
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator

NUM_LABELS = 5
_SMALL = {"num_labels": NUM_LABELS, "filters": 2, "hidden_filters": 4}
_HD = {"image_size": (32, 64), "num_downsamplings": 2, "num_blocks": 2}
_PLUS = {**_HD, "norm": "batch", "spectral_norm": True}
# Class and arguments by name; sizes are the smallest, one of them not square.
GENERATORS = {
    "spade": (SPADEGenerator, {"image_size": (32, 64)}),
    "spade_with_edges_and_style": (
        SPADEGenerator,
        {"image_size": (32, 64), "use_instance_edges": True, "z_dim": 8},
    ),
    "spade_with_class_styles": (
        SPADEGenerator,
        {"image_size": (32, 64), "use_instance_edges": True, "class_style_dim": 3},
    ),
    "spade_instance_norm": (
        SPADEGenerator,
        {"image_size": (64, 64), "use_instance_edges": True, "norm": "instance"},
    ),
    "spade_layer_norm": (SPADEGenerator, {"image_size": (32, 64), "norm": "layer"}),
    "spade_bilinear_reflect": (
        SPADEGenerator,
        {"image_size": (64, 64), "upsampling": "bilinear", "padding": "reflect"},
    ),
    "spade_bilinear_replicate": (
        SPADEGenerator,
        # GPUs refuse it where the smallest grid has one row.
        {"image_size": (64, 64), "upsampling": "bilinear", "padding": "replicate"},
    ),
    "spade_noise_inputs": (
        SPADEGenerator,
        {"image_size": (64, 64), "z_dim": 8, "upsampling": "bilinear", "noise_inputs": True},
    ),
    "clade": (
        SPADEGenerator,
        {
            "image_size": (32, 64),
            "use_instance_edges": True,
            "z_dim": 8,
            "conditioning": "clade",
        },
    ),
    "shared_spade": (SPADEGenerator, {"image_size": (32, 64), "conditioning": "shared_spade"}),
    "conditional_batch": (
        SPADEGenerator,
        {"image_size": (32, 64), "use_instance_edges": True, "conditioning": "conditional_batch"},
    ),
    "adain": (
        SPADEGenerator,
        {"image_size": (64, 64), "norm": "instance", "z_dim": 8, "conditioning": "adain"},
    ),
    "concat": (
        SPADEGenerator,
        {"image_size": (32, 64), "conditioning": "affine", "concat": "convs"},
    ),
    "pix2pixhd": (Pix2PixHDGenerator, _HD),
    "pix2pixhd_without_norm": (
        Pix2PixHDGenerator,
        {**_HD, "norm": "none", "spectral_norm": True, "down_padding": "zeros"},
    ),
    "pix2pixhd_plus": (
        Pix2PixHDGenerator,
        {"conditioning": "affine", **_PLUS},
    ),
    "pix2pixhd_spade": (
        Pix2PixHDGenerator,
        {
            "use_instance_edges": True,
            "conditioning": "spade",
            **_PLUS,
        },
    ),
}


# The networks of the edge presets, and the other architecture. More would take a minute.
QUICK = (
    "spade_with_edges_and_style",
    "spade_with_class_styles",
    "spade_instance_norm",
    "spade_noise_inputs",
    "clade",
    "pix2pixhd_spade",
)
ALL = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in GENERATORS]


def make_generator(name, seed=0, **more):
    """One of `GENERATORS`, with random weights and the batch statistics that match them."""
    random.seed(seed)
    kind, arguments = GENERATORS[name]
    arguments = {**_SMALL, **arguments, **more}
    if kind is Pix2PixHDGenerator:
        arguments["default"] = PLAIN
    generator = kind(**conditioned(**arguments))
    rng = np.random.default_rng(seed)
    for weight in generator.trainable_weights:
        weight.assign(weight + 0.1 * rng.standard_normal(weight.shape))
    layouts = make_layouts(generator, 4, seed)
    batch = {key: np.concatenate([layout[key] for layout in layouts]) for key in layouts[0]}
    norms = [layer for layer in nested_layers(generator) if isinstance(layer, BatchNorm)]
    for norm in norms:
        # The plain average over one batch gives this batch's statistics.
        norm.momentum = None
    generator(batch, training=True)
    for norm in norms:
        norm.momentum = 0.9
    return generator


@cache
def shared_generator(name):
    """The generator of a name that no test changes."""
    return make_generator(name)


def make_layouts(generator, count, seed=1):
    """Label maps of large areas. Instances have other areas."""
    random = np.random.default_rng(seed)
    height, width = generator.image_size

    def areas():
        ids = random.integers(0, NUM_LABELS, (1, height // 8, width // 8))
        return ids.repeat(8, 1).repeat(8, 2).astype("int32")

    return [{"label": areas(), "instance": areas()} for _ in range(count)]


def make_encoder(seed=0):
    """An encoder for the generators of 32x64 with a style."""
    random.seed(seed)
    return ConvEncoder(z_dim=8, filters=2, image_size=(32, 64), num_layers=3)


def make_photographs(encoder, count, seed=1):
    """Noise in [-1, 1], in the shape of the encoder's edge models."""
    random = np.random.default_rng(seed)
    shape = (1, *encoder.image_size, 3)
    return [{"image": random.uniform(-1, 1, shape).astype("float32")} for _ in range(count)]
