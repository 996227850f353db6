"""2-D convolutions whose gradients are computed by faster operations on processors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

# Output channels up to which the gradient of the kernel is one product of matrices.
_NARROW = 8


def convolve(x: tf.Tensor, kernel: tf.Tensor, strides: int, padding: str) -> tf.Tensor:
    """`tf.nn.conv2d`, with other operations for its gradients where these are faster.

    The picture is the same to the bit, and the gradients are up to rounding. TensorFlow's kernels
    for processors lose much time on some shapes: on the gradient of a kernel with few output
    channels (75 ms in place of 3 ms for the last convolution of the discriminator, 256 channels
    to one at 18x18), and on the gradient of the input of small maps with many channels (87 ms for
    VGG's 512 channels at 8x8, on AVX2). That is a convolution of `dy` here. With a stride of 1,

        dx[p] = sum over taps t of dy[p - t] W[t]'
        dW[t] = sum over positions p of x[p]' dy[p - t]

    On other devices than processors, and with other strides, the gradients are TensorFlow's.

    Args:
        x: `[B, H, W, C]`.
        kernel: `[k, k, C, O]`.
        strides: int >= 1.
        padding: "same" or "valid".

    Returns:
        `[B, H', W', O]`.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.layers.convolution import convolve
        >>> tuple(convolve(tf.ones([1, 4, 4, 2]), tf.ones([3, 3, 2, 5]), 1, "same").shape)
        (1, 4, 4, 5)
    """
    if strides != 1 or None in x.shape[1:3] or not only_processors():
        return tf.nn.conv2d(x, kernel, strides, padding.upper())
    return _convolve(padding.upper())(x, kernel)


def only_processors() -> bool:
    """Whether TensorFlow has no other devices than processors."""
    return {device.device_type for device in tf.config.list_logical_devices()} == {"CPU"}


def _convolve(padding: str) -> Any:
    @tf.custom_gradient
    def convolution(x, kernel):
        def gradient(dy):
            return _input_gradient(x, kernel, dy, padding), _kernel_gradient(x, kernel, dy, padding)

        return tf.nn.conv2d(x, kernel, 1, padding), gradient

    return convolution


def _paddings(x, kernel, dy, padding):
    """How far `dy` is padded so that it has a value at each tap of each of the input's pixels."""
    paddings = [[0, 0]]
    for size, taps, given in zip(x.shape[1:3], kernel.shape[:2], dy.shape[1:3], strict=True):
        before = taps - 1 - ((taps - 1) // 2 if padding == "SAME" else 0)
        paddings.append([before, size + taps - 1 - before - given])
    return [*paddings, [0, 0]]


def _input_gradient(x, kernel, dy, padding):
    rotated = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
    return tf.nn.conv2d(dy, rotated, 1, _paddings(x, kernel, dy, padding))


def _kernel_gradient(x, kernel, dy, padding):
    height, width, channels, filters = kernel.shape
    if filters > _NARROW:
        return tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=kernel.shape,
            out_backprop=dy,
            strides=[1, 1, 1, 1],
            padding=padding,
        )
    shifted = [each for each, _, _ in _taps(x, kernel, dy, padding)]
    columns = tf.reshape(tf.concat(shifted, -1), [-1, height * width * filters])
    product = tf.matmul(tf.reshape(x, [-1, channels]), columns, transpose_a=True)
    product = tf.reshape(product, [channels, height, width, filters])
    return tf.transpose(product, [1, 2, 0, 3])


def _taps(x, kernel, dy, padding) -> Iterator[tuple[tf.Tensor, int, int]]:
    """For each tap `(i, j)` of the kernel, the map of `dy[p - tap]` of the input's size."""
    padded = tf.pad(dy, _paddings(x, kernel, dy, padding))
    rows, columns = x.shape[1:3]
    height, width = kernel.shape[:2]
    for i in range(height):
        for j in range(width):
            row, column = height - 1 - i, width - 1 - j
            yield padded[:, row : row + rows, column : column + columns], i, j


@keras.saving.register_keras_serializable("spade_tf")
class NarrowConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` of few output channels, with the gradients of `convolve` in training.

    Args:
        filters: int >= 1, output channels.
        kernel_size: int >= 1, or height and width.
        padding: "same" or "valid". Default "valid".
        **kwargs: other arguments of `keras.layers.Conv2D`.

    Call arguments:
        inputs: `[B, H, W, C]`.
        training: bool, whether gradients are wanted. What comes out is the same.

    Returns:
        `[B, H', W', filters]`.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers.convolution import NarrowConv2D
        >>> tuple(NarrowConv2D(1, 3)(np.ones((1, 4, 4, 2), "float32")).shape)
        (1, 2, 2, 1)
    """

    def __init__(
        self, filters: int, kernel_size: int | tuple[int, int], padding: str = "valid", **kwargs
    ):
        super().__init__(filters, kernel_size, padding=padding, **kwargs)

    def call(self, inputs, training=False):
        if not training:
            return super().call(inputs)
        x = convolve(inputs, tf.convert_to_tensor(self.kernel), self.strides[0], self.padding)
        return self.activation(tf.nn.bias_add(x, self.bias) if self.use_bias else x)
