"""Convolutions and dense layers with final weights."""

from __future__ import annotations

from typing import Literal, TypeAlias

import keras
import tensorflow as tf

from spade_tf.layers.padding import conv_padding, pad, padded_for
from spade_tf.networks.fused import winograd
from spade_tf.networks.fused.weights import array, constant

Algorithm: TypeAlias = Literal["convolution", "product", "winograd"]


class FusedConv2D(tf.Module):
    """A convolution, spectrally normalised or not, with its final kernel.

    Args:
        conv: a built convolution.
        dtype: the type that weights are held in, and computed in.
        algorithm: how float32 is computed; bfloat16 always takes "convolution". A convolution
            reorders its kernel at every call. On small maps that is a good part of its time, and
            a "product" of matrices takes the kernel as it is. "winograd" is Winograd's filtering,
            for 3x3 kernels and even heights and widths.
        padding: "zeros", "reflect" or "replicate", of its input.
    """

    def __init__(
        self,
        conv: keras.layers.Layer,
        dtype: tf.DType,
        algorithm: Algorithm = "convolution",
        padding: str = "zeros",
    ):
        super().__init__(name=conv.name)
        self.padding = padding
        spectral = hasattr(conv, "normalized_kernel")
        kernel = conv.normalized_kernel().numpy() if spectral else array(conv.kernel)
        self.algorithm = algorithm if dtype == tf.float32 else "convolution"
        if self.algorithm == "winograd":
            kernel = winograd.transform_kernel(kernel)
        self.kernel = constant(kernel, dtype)
        self.bias = constant(array(conv.bias), dtype) if conv.use_bias else None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """`[B, H, W, C]` to `[B, H, W, filters]`."""
        if self.algorithm == "winograd":
            kernel = tf.convert_to_tensor(self.kernel)
            bias = tf.zeros(kernel.shape[2]) if self.bias is None else self.bias
            return winograd.convolve(x, kernel, tf.convert_to_tensor(bias), self.padding)
        if self.algorithm == "product":
            x = _product(x, tf.convert_to_tensor(self.kernel), self.padding)
        else:
            x = convolve(x, self.kernel, self.padding)
        return x if self.bias is None else tf.nn.bias_add(x, self.bias)


def convolve(x: tf.Tensor, kernel: tf.Tensor, padding: str) -> tf.Tensor:
    """A convolution of stride 1 that keeps the size.

    Args:
        x: `[B, H, W, C]`.
        kernel: `[k, k, C, filters]`.
        padding: "zeros", "reflect" or "replicate".
    """
    x = padded_for(x, kernel.shape[0], padding)
    return tf.nn.conv2d(x, kernel, 1, conv_padding(padding).upper())


def _product(x: tf.Tensor, kernel: tf.Tensor, padding: str) -> tf.Tensor:
    """A convolution of stride 1 as a product of matrices."""
    size, _, channels, filters = kernel.shape
    height, width, margin = tf.shape(x)[1], tf.shape(x)[2], size // 2
    padded = pad(x, margin, padding)
    taps = [padded[:, i : i + height, j : j + width] for i in range(size) for j in range(size)]
    rows = tf.reshape(tf.concat(taps, -1), [-1, size * size * channels])
    result = tf.matmul(rows, tf.reshape(kernel, [-1, filters]))
    return tf.reshape(result, tf.concat([tf.shape(x)[:3], [filters]], 0))


class FusedDense(tf.Module):
    """A dense layer with its final weights.

    Args:
        dense: a built dense layer.
        dtype: the type that weights are held in, and computed in.
    """

    def __init__(self, dense: keras.layers.Layer, dtype: tf.DType):
        super().__init__(name=dense.name)
        self.kernel = constant(array(dense.kernel), dtype)
        self.bias = constant(array(dense.bias), dtype)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """`[B, C]` to `[B, filters]`."""
        return tf.nn.bias_add(tf.matmul(x, self.kernel), self.bias)
