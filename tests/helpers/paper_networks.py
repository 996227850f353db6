"""A GauGAN of the paper's networks, small, and what it trains on."""

import random

import numpy as np
import tensorflow as tf

from spade_tf.layers.conditioning import Conditioning
from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.training.adam import adam
from spade_tf.training.gaugan import GauGAN


def batch(size=4, side=64, runs=(111, 57)):
    """Pictures of `side` pixels; labels and instances that last for `runs` of pixels."""
    ids = np.arange(size * side * side).reshape(size, side, side)
    x = np.linspace(-1.0, 1.0, size * side * side * 3).reshape(size, side, side, 3)
    return {
        "image": tf.constant(np.sin(29.0 * x), tf.float32),
        "label": tf.constant(ids // runs[0] % 3, tf.int32),
        "instance": tf.constant(ids // runs[1] % 5, tf.int32),
    }


def make(with_encoder=True, z_dim=6, dtype=None, optimizer=None, form="auto", **kwargs):
    random.seed(0)
    shared = {"use_instance_edges": True, "filters": 4, "dtype": dtype}
    how = Conditioning(hidden_filters=4, form=form)
    generator = SPADEGenerator(3, image_size=(64, 64), z_dim=z_dim, conditioning=how, **shared)
    discriminator = MultiscaleDiscriminator(3, num_layers=3, **shared)
    encoder = None
    if with_encoder:
        encoder = ConvEncoder(z_dim, filters=4, image_size=(32, 64), num_layers=4, dtype=dtype)
    model = GauGAN(generator, discriminator, encoder, **kwargs)
    optimizer = optimizer or (lambda: adam(1e-2))
    model.compile(optimizer(), optimizer())
    return model
