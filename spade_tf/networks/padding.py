"""Padding of feature maps on all sides."""

from __future__ import annotations

import tensorflow as tf

# By their names, and as TensorFlow calls them.
PADDINGS = {"reflect": "REFLECT", "zeros": "CONSTANT"}


def pad(x: tf.Tensor, pixels: int, mode: str = "reflect") -> tf.Tensor:
    """Pads height and width on all sides.

    Args:
        x: `[B, H, W, C]`, for "reflect" of more than `pixels` rows and columns.
        pixels: int >= 0.
        mode: "reflect" (the edge itself is not repeated) or "zeros".

    Returns:
        `[B, H + 2 * pixels, W + 2 * pixels, C]`.
    """
    sides = [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]]
    return tf.pad(x, sides, PADDINGS[mode])
