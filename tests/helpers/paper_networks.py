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


def batch(size=4):
    ids = np.arange(size * 64 * 64).reshape(size, 64, 64)
    x = np.linspace(-1.0, 1.0, size * 64 * 64 * 3).reshape(size, 64, 64, 3)
    return {
        "image": tf.constant(np.sin(29.0 * x), tf.float32),
        "label": tf.constant(ids // 111 % 3, tf.int32),
        "instance": tf.constant(ids // 57 % 5, tf.int32),
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
