"""Networks with every kind of state, small enough to be traced in a second."""

import random

import keras
import numpy as np
import tensorflow as tf

from spade_tf.layers.normalization import get_normalization
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spectral_norm import SpectralConv2D
from spade_tf.training.adam import adam
from spade_tf.training.gaugan import GauGAN

SIZE = 8


@keras.saving.register_keras_serializable("tests")
class SmallGenerator(keras.Model):
    """One normalisation and two convolutions of the label map, shifted by a style."""

    use_instance_edges = False

    def __init__(self, z_dim=4, norm="batch", num_labels=3, **kwargs):
        super().__init__(**kwargs)
        self.z_dim = z_dim
        self.num_labels = num_labels
        self.first = SpectralConv2D(4, 3, dtype=self.dtype_policy, name="first")
        self.style = keras.layers.Dense(4, dtype=self.dtype_policy, name="style")
        self.norm = get_normalization(norm, dtype=self.dtype_policy, name="norm")
        self.last = keras.layers.Conv2D(3, 3, padding="same", dtype="float32", name="last")
        self.first.build((None, SIZE, SIZE, num_labels))
        self.style.build((None, z_dim))
        self.norm.build((None, SIZE, SIZE, 4))
        self.last.build((None, SIZE, SIZE, 4))
        self.built = True

    def call(self, inputs, z=None, training=False):
        x = self.first(inputs.dense, training=training)
        x = x + tf.cast(self.style(z), x.dtype)[:, None, None]
        return tf.tanh(self.last(tf.nn.leaky_relu(self.norm(x, training=training))))


@keras.saving.register_keras_serializable("tests")
class SmallDiscriminator(keras.Model):
    """Two spectral convolutions, with instance normalisation between."""

    def __init__(self, num_labels=3, **kwargs):
        super().__init__(**kwargs)
        self.first = SpectralConv2D(4, 3, dtype=self.dtype_policy, name="first")
        self.norm = get_normalization("instance", dtype=self.dtype_policy, name="norm")
        self.last = SpectralConv2D(1, 3, dtype="float32", name="last")
        self.first.build((None, SIZE, SIZE, num_labels + 3))
        self.norm.build((None, SIZE, SIZE, 4))
        self.last.build((None, SIZE, SIZE, 4))
        self.built = True

    def call(self, inputs, image, training=False):
        dense = inputs.dense if isinstance(inputs, Semantics) else inputs
        x = tf.concat([dense, tf.cast(image, dense.dtype)], -1)
        x = tf.nn.leaky_relu(self.norm(self.first(x, training=training)))
        return [[x, self.last(x, training=training)]]


@keras.saving.register_keras_serializable("tests")
class SmallEncoder(keras.Model):
    """The mean of a convolution."""

    def __init__(self, z_dim=4, **kwargs):
        super().__init__(**kwargs)
        self.z_dim = z_dim
        self.conv = SpectralConv2D(2 * z_dim, 3, dtype=self.dtype_policy, name="conv")
        self.conv.build((None, SIZE, SIZE, 3))
        self.built = True

    def call(self, image, training=False):
        x = self.conv(tf.cast(image, self.compute_dtype), training=training)
        return tuple(tf.split(tf.cast(tf.reduce_mean(x, [1, 2]), tf.float32), 2, axis=-1))


def make_small(norm="batch", dtype=None, optimizer=None, average=False, num_labels=3, **kwargs):
    """A compiled GauGAN of the three."""
    random.seed(0)
    model = GauGAN(
        SmallGenerator(norm=norm, num_labels=num_labels, dtype=dtype, name="generator"),
        SmallDiscriminator(num_labels, dtype=dtype, name="discriminator"),
        SmallEncoder(dtype=dtype, name="encoder"),
        average_generator=SmallGenerator(norm=norm, dtype=dtype, name="average_generator")
        if average
        else None,
        **kwargs,
    )
    optimizer = optimizer or (lambda: adam(1e-2))
    model.compile(optimizer(), optimizer())
    return model


def small_batch(size=4, seed=0):
    """A batch of noise."""
    rng = np.random.default_rng(seed)
    return {
        "image": tf.constant(rng.uniform(-1, 1, (size, SIZE, SIZE, 3)), tf.float32),
        "label": tf.constant(rng.integers(0, 3, (size, SIZE, SIZE)), tf.int32),
    }


def values(variables):
    """Variables as arrays."""
    return [variable.numpy() for variable in variables]


def same(before, after):
    """Which arrays are equal, bit by bit."""
    return [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
