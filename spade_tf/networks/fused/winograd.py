"""Winograd's minimal filtering: 3x3 convolutions with 4/9 of the multiplications."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from spade_tf.layers.padding import pad

# Of kernels, from 3 taps to 4. Sums of inputs and of products are written out below.
_KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def transform_kernel(kernel: np.ndarray) -> np.ndarray:
    """What `convolve` takes of a kernel `[3, 3, C, filters]`: `[16, C, filters]`."""
    transformed = np.einsum("ai,bj,ijcf->abcf", _KERNEL, _KERNEL, kernel)
    return transformed.reshape(16, *kernel.shape[2:])


def convolve(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, padding: str = "zeros") -> tf.Tensor:
    """`conv2d(x, kernel, 1, "SAME") + bias`, up to rounding, or with another padding.

    In tiles of 2x2 results, F(2x2, 3x3): 16 products in place of 36, as 16 products of matrices.
    XLA compiles what is before and after them, once per size.

    Args:
        x: float32 `[B, H, W, C]`, H and W even.
        kernel: float32 `[16, C, filters]`, of `transform_kernel`.
        bias: float32 `[filters]`.
        padding: "zeros", "reflect" or "replicate". Default "zeros".

    Returns:
        float32 `[B, H, W, filters]`.

    Reference: Lavin & Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section
    4.1, equations 8 and 9.
    """
    return _results(tf.matmul(_tiles(x, padding), kernel), tf.shape(x), bias)


@tf.function(jit_compile=True, autograph=False)
def _tiles(x, padding):
    """`[16, B * H/2 * W/2, C]`, sums and differences within each 4x4 tile of inputs."""
    batch, height, width, channels = tf.unstack(tf.shape(x))
    padded = pad(x, 1, padding)

    def combine(x0, x1, x2, x3):
        return x0 - x2, x1 + x2, x2 - x1, x1 - x3

    rows = combine(*(padded[:, i : i + height : 2] for i in range(4)))
    tiles = [
        tile for row in rows for tile in combine(*(row[:, :, j : j + width : 2] for j in range(4)))
    ]
    return tf.reshape(tf.stack(tiles), [16, batch * (height // 2) * (width // 2), channels])


@tf.function(jit_compile=True, autograph=False)
def _results(products, shape, bias):
    """`[B, H, W, filters]` from the 16 products of each tile."""
    batch, height, width = shape[0], shape[1], shape[2]
    tiles = tf.reshape(products, [4, 4, batch, height // 2, width // 2, bias.shape[0]])

    def combine(m0, m1, m2, m3):
        return m0 + m1 + m2, m1 - m2 - m3

    rows = combine(*tf.unstack(tiles))
    pixels = [tf.stack(combine(*tf.unstack(row)), 3) for row in rows]
    result = tf.reshape(tf.stack(pixels, 2), [batch, height, width, bias.shape[0]])
    return result + bias
