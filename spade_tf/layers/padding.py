"""Padding of maps at their borders, so that convolutions keep their size."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

PADDINGS = ("zeros", "reflect", "replicate")


def check_padding(padding: str) -> None:
    """Raises a ValueError unless `padding` is one of `PADDINGS`."""
    if padding not in PADDINGS:
        raise ValueError(f"padding must be one of {', '.join(PADDINGS)}: received {padding!r}")


def pad(
    x: tf.Tensor,
    pixels: int,
    mode: str = "reflect",
    axes: Sequence[int] = (1, 2),
    constant: int | tf.Tensor = 0,
) -> tf.Tensor:
    """Pads maps on both sides of their axes.

    Args:
        x: `[B, H, W, ...]`, for "reflect" of more than `pixels` rows and columns.
        pixels: int >= 0.
        mode: "reflect" (the border itself is not repeated), "replicate" (the border is repeated) or
            "zeros".
        axes: which, 1 for the height and 2 for the width. Default both.
        constant: what "zeros" pads with. Default 0.

    Returns:
        `[B, H + 2 * pixels, W + 2 * pixels, ...]`.
    """
    if mode == "replicate":
        # Of slices, because GPU accelerators of edge devices do not repeat a border otherwise.
        for axis in axes:
            before = (slice(None),) * axis
            first, last = x[(*before, slice(1))], x[(*before, slice(-1, None))]
            x = tf.concat([first] * pixels + [x] + [last] * pixels, axis)
        return x
    sides = [[pixels, pixels] if axis in axes else [0, 0] for axis in range(len(x.shape))]
    if mode == "reflect":
        return tf.pad(x, sides, "REFLECT")
    return tf.pad(x, sides, constant_values=constant)


def conv_padding(padding: str) -> str:
    """The `padding` of a convolution layer whose input is `padded_for` its kernel."""
    return "same" if padding == "zeros" else "valid"


def padded_for(x: tf.Tensor, kernel_size: int, padding: str) -> tf.Tensor:
    """The input of a convolution of stride 1 that keeps the size.

    Zeros are left to the convolution itself: see `conv_padding`.

    Args:
        x: `[B, H, W, C]`.
        kernel_size: odd int.
        padding: one of `PADDINGS`.
    """
    if padding == "zeros" or kernel_size == 1:
        return x
    return pad(x, kernel_size // 2, padding)
