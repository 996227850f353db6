"""Scales images with antialiasing, as two products with banded matrices.

Computes what `tf.image.resize(..., antialias=True)` does, in less time on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

# Number of outputs per product. Neighbouring outputs share most of their inputs.
_BLOCK = 16
# Number of products where the number of outputs is not known when the graph is made.
_BLOCKS = 16

Kernel = Callable[[tf.Tensor], tf.Tensor]


def cubic(distance: tf.Tensor) -> tf.Tensor:
    """Cubic convolution kernel with a = -0.5; its radius is 2.

    Reference: Keys 1981, "Cubic convolution interpolation for digital image processing".
    """
    near = (1.5 * distance - 2.5) * distance * distance + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    return tf.where(distance < 1.0, near, tf.where(distance < 2.0, far, 0.0))


def linear(distance: tf.Tensor) -> tf.Tensor:
    """Triangle kernel; its radius is 1."""
    return tf.maximum(1.0 - distance, 0.0)


_RADII: dict[Kernel, float] = {cubic: 2.0, linear: 1.0}


# An int, or a scalar tensor of one.
Length = Any


def scale(
    image: tf.Tensor,
    height: Length,
    width: Length,
    kernel: Kernel,
    *,
    rows: tuple[Length, Length] | None = None,
    columns: tuple[Length, Length] | None = None,
    mirror: tf.Tensor | None = None,
) -> tf.Tensor:
    """Scales an image, and cuts a rectangle out of it. Centres of pixels are at halves.

    Output `y_i = sum_k w_ik x_k / sum_k w_ik` along each axis, with `w_ik = kernel(|k + 1/2 - (i +
    1/2) s| / max(s, 1))` and `s` the input size over the output size.

    Args:
        image: `[H, W, C]`, of any number type.
        height: of the output, in pixels.
        width: of the output, in pixels.
        kernel: `cubic` or `linear`.
        rows: the first row that is computed and their number; by default all.
        columns: likewise.
        mirror: bool scalar, whether the columns come in reverse order; None for no.

    Returns:
        float32 `[height, width, C]`, or the rows and columns wanted; cubic overshoots at edges.
    """
    top, num_rows = rows or (0, height)
    left, num_columns = columns or (0, width)
    channels = image.shape[-1]
    source = tf.shape(image)

    down = _Bands(source[0], height, kernel, top + tf.range(num_rows), num_rows)
    lines = tf.reshape(image, [source[0], -1])
    x = tf.concat(
        [
            tf.linalg.matmul(weights, tf.cast(lines[first : first + down.span], tf.float32))
            for first, weights in down
        ],
        axis=0,
    )

    taken = tf.range(num_columns)
    if mirror is not None:
        taken = mirrored(taken, mirror)
    across = _Bands(source[1], width, kernel, left + taken, num_columns)
    # Channels take part in the product, each with itself alone: three times the multiplications,
    # but to move the pixels of a row apart and together again would take longer than they do.
    x = tf.concat(
        [
            tf.linalg.matmul(
                x[:, channels * first : channels * (first + across.span)],
                weights,
                transpose_b=True,
            )
            for first, weights in across.per_channel(channels)
        ],
        axis=1,
    )
    x = tf.reshape(x, [down.num_outputs, across.num_outputs, channels])
    return x[:num_rows, :num_columns]


def mirrored(indices: tf.Tensor, mirror: tf.Tensor) -> tf.Tensor:
    """Indices `[n]` in reverse order where `mirror`, a bool scalar, is true."""
    return tf.where(mirror, tf.reverse(indices, [0]), indices)


class _Bands:
    """The weights of one axis, in blocks of outputs that share a window of inputs.

    Iterates over pairs of the first input of a window and weights `[outputs, inputs]`.

    Args:
        source: number of inputs.
        size: number of outputs that they would be scaled to.
        kernel: `cubic` or `linear`.
        positions: int32 `[count]`, which of these outputs are wanted, in steps of 1 or -1.
        count: their number.
    """

    def __init__(
        self, source: tf.Tensor, size: Length, kernel: Kernel, positions: tf.Tensor, count: Length
    ) -> None:
        # Operations in a graph cannot be as many as a tensor says.
        num_blocks = -(-count // _BLOCK) if isinstance(count, int) else _BLOCKS
        block = -(-count // num_blocks)
        self.num_outputs = num_blocks * block
        places = tf.minimum(tf.range(self.num_outputs), count - 1)
        # In double precision, or positions far from the corner would lose the digits that count.
        factor = tf.cast(source, tf.float64) / tf.cast(size, tf.float64)
        stretch = tf.maximum(factor, 1.0)
        radius = _RADII[kernel] * stretch
        centers = (tf.cast(tf.gather(positions, places), tf.float64) + 0.5) * factor
        centers = tf.reshape(centers, [num_blocks, block])
        span = (
            tf.cast(tf.math.ceil(factor * tf.cast(block - 1, tf.float64) + 2.0 * radius), tf.int32)
            + 1
        )
        self.span = tf.minimum(span, source)
        first = tf.cast(tf.floor(tf.reduce_min(centers, axis=1) - radius), tf.int32)
        first = tf.clip_by_value(first, 0, source - self.span)
        inputs = tf.cast(first[:, None] + tf.range(self.span), tf.float64) + 0.5
        distance = tf.abs(inputs[:, None, :] - centers[:, :, None]) / stretch
        weights = kernel(tf.cast(distance, tf.float32))
        weights /= tf.reduce_sum(weights, axis=-1, keepdims=True)
        self._first, self._weights = first, weights

    def __iter__(self) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        for block in range(self._weights.shape[0]):
            yield self._first[block], self._weights[block]

    def per_channel(self, channels: int) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Iterates over the Kronecker products of the weights and the identity: `[n C, k C]`."""
        apart = tf.tile(tf.eye(channels), [1, self.span])
        products = tf.repeat(self._weights, channels, axis=2)[:, :, None, :] * apart
        shape = tf.shape(products)
        products = tf.reshape(products, [-1, shape[1] * channels, shape[3]])
        for block in range(self._weights.shape[0]):
            yield self._first[block], products[block]
