"""Nearest upsampling."""

from __future__ import annotations

import tensorflow as tf


def upsample(x: tf.Tensor) -> tf.Tensor:
    """Twice as high and wide, each pixel repeated: `[B, H, W, C]` to `[B, 2H, 2W, C]`."""
    height, width = x.shape[1:3]
    if height is None or width is None:
        height, width = tf.shape(x)[1], tf.shape(x)[2]
    return tf.image.resize(x, [2 * height, 2 * width], "nearest")
