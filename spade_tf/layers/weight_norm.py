"""Convolution whose weights are normalised, rather than its activations."""

from __future__ import annotations

import keras
import tensorflow as tf

from spade_tf.layers.initialization import xavier_normal


@keras.saving.register_keras_serializable("spade_tf")
class WeightNormConv2D(keras.layers.Layer):
    """2-D convolution under weight normalisation.

    The kernel of an output channel is `w = g * v / |v|`: a direction v and a length g, learned
    apart. g starts at `|v|`, so that the layer starts as a plain convolution by v.

    Args:
        filters: int >= 1, output channels.
        kernel_size: int >= 1, of a square kernel.
        strides: int >= 1. Default 1.
        padding: "same" or "valid". Default "same".
        use_bias: bool. Default True.
        epsilon: float > 0, smallest `|v|`. Default 1e-12.

    Call arguments:
        x: `[B, H, W, C]`.

    Returns:
        `[B, H', W', filters]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown, or an argument is out of its range.

    Reference: Salimans & Kingma 2016, Eq. 2, https://arxiv.org/abs/1602.07868; without their
        initialisation from a first batch.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import WeightNormConv2D
        >>> tuple(WeightNormConv2D(6, 3)(np.ones((1, 4, 4, 2), "float32")).shape)
        (1, 4, 4, 6)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        padding: str = "same",
        use_bias: bool = True,
        epsilon: float = 1e-12,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"filters must be >= 1: received {filters}")
        if padding not in ("same", "valid"):
            raise ValueError(f"padding must be 'same' or 'valid': received {padding!r}")
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.use_bias = use_bias
        self.epsilon = epsilon

    def build(self, x_shape):
        if x_shape[-1] is None:
            raise ValueError(
                f"WeightNormConv2D needs a known number of channels: received {x_shape}"
            )
        # Both stay float32 under mixed precision: the quotient is what is rounded.
        self.v = self.add_weight(
            shape=(self.kernel_size, self.kernel_size, x_shape[-1], self.filters),
            initializer=xavier_normal(),
            autocast=False,
            name="v",
        )
        self.g = self.add_weight(
            shape=(self.filters,),
            initializer=lambda shape, dtype: tf.cast(self._length(), dtype),
            autocast=False,
            name="g",
        )
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def _length(self):
        squares = tf.reduce_sum(tf.square(tf.convert_to_tensor(self.v)), [0, 1, 2])
        return tf.sqrt(tf.maximum(squares, self.epsilon**2))

    def call(self, x):
        kernel = tf.convert_to_tensor(self.v) * (tf.convert_to_tensor(self.g) / self._length())
        kernel = tf.cast(kernel, self.compute_dtype)
        x = tf.nn.conv2d(x, kernel, self.strides, self.padding.upper())
        return tf.nn.bias_add(x, self.bias) if self.use_bias else x

    def compute_output_shape(self, x_shape):
        lost = 0 if self.padding == "same" else self.kernel_size - 1
        sizes = (n if n is None else -((lost - n) // self.strides) for n in x_shape[1:3])
        return (x_shape[0], *sizes, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "epsilon": self.epsilon,
        }
