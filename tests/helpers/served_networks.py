"""Small networks whose pictures are neither grey nor saturated."""

import numpy as np

from spade_tf.layers.conditioning import Conditioning
from spade_tf.layers.nested import nested_layers
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator

NUM_LABELS = 5
SIZE = 64
Z_DIM = 8


def spade_with_styles():
    """Starts from z: one size, instance edges, fused; dense, which is the quickest to trace."""
    network = SPADEGenerator(
        NUM_LABELS,
        image_size=(SIZE, SIZE),
        use_instance_edges=True,
        filters=2,
        z_dim=Z_DIM,
        conditioning=Conditioning(hidden_filters=4, form="dense"),
    )
    return lively(network)


def spade():
    """Starts from the label map: any size, fused."""
    narrow = Conditioning(hidden_filters=4)
    return lively(SPADEGenerator(NUM_LABELS, (SIZE, SIZE), filters=2, conditioning=narrow))


def clade():
    """Cannot be fused."""
    network = SPADEGenerator(
        NUM_LABELS, image_size=(SIZE, SIZE), filters=2, conditioning="clade", z_dim=Z_DIM
    )
    return lively(network)


def pix2pixhd():
    """The other architecture, with SPADE and spectral norm."""
    network = Pix2PixHDGenerator(
        NUM_LABELS,
        image_size=(SIZE, SIZE),
        use_instance_edges=True,
        filters=2,
        num_downsamplings=2,
        num_blocks=1,
        spectral_norm=True,
        conditioning=Conditioning("spade", hidden_filters=4),
    )
    return lively(network)


def encoder():
    """An encoder of styles."""
    return ConvEncoder(z_dim=Z_DIM, filters=2, image_size=(SIZE, SIZE), num_layers=4)


def lively(network):
    """Gives a network random weights and statistics."""
    random = np.random.default_rng(1)
    for weight in network.variables:
        shape = tuple(weight.shape)
        if len(shape) > 1:
            weight.assign(random.normal(size=shape) / np.sqrt(np.prod(shape[:-1])))
        elif "moving_variance" in weight.path:
            weight.assign(random.uniform(0.5, 2.0, shape))
        elif "/u" not in weight.path and "/v" not in weight.path:
            weight.assign(0.3 * random.normal(size=shape))
    for layer in nested_layers(network):
        if hasattr(layer, "normalized_kernel"):
            for _ in range(3):
                layer.normalized_kernel(training=True)
    network.conv_img.kernel.assign(0.3 * network.conv_img.kernel)
    return network


def layouts(batch=2, height=SIZE, width=SIZE):
    """Label maps of squares of 8 pixels, int32 `[B, H, W]`."""
    cells = np.random.default_rng(0).integers(0, NUM_LABELS, (batch, height // 8, width // 8))
    return cells.repeat(8, 1).repeat(8, 2).astype(np.int32)
