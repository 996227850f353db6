"""Steps between neighbouring pixels: how sharp pictures are, and grids and borders in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

__all__ = ["PictureSteps", "border_ratio", "grid_ratio", "picture_steps"]

# Steps on each side of a picture that count as its border.
_BORDER = 2


class PictureSteps(NamedTuple):
    """Mean absolute steps between neighbouring pixels of each picture of a batch.

    Attributes:
        mean: float32 `[B]`, of all steps, horizontal and vertical.
        grid: float32 `[B, 2, block]`, horizontal and vertical steps by position modulo `block`,
            without the border; NaN where a picture has no such position.
        border: float32 `[B, 2, 4]`, the outermost two steps of each side: horizontal ones from left
            to right, vertical ones from top to bottom.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.metrics import picture_steps
        >>> type(picture_steps(tf.zeros([1, 8, 8, 3]), block=4)).__name__
        'PictureSteps'
    """

    mean: tf.Tensor
    grid: tf.Tensor
    border: tf.Tensor


def picture_steps(images: tf.Tensor, block: int = 32) -> PictureSteps:
    """Averages the steps of each picture by their position.

    The horizontal step at position `x`, from 1 to W - 1, is `|p[:, x] - p[:, x - 1]|`, averaged
    over rows and channels; vertical steps likewise. Positions 1, 2, W - 2 and W - 1 are the border.
    The others are averaged by `x mod block`, so that 0 is where two blocks meet.

    Runs in graphs and on every device of a `tf.distribute` strategy, as each picture is by itself.

    Args:
        images: float `[B, H, W, C]`, H and W at least 6. With pixels in [-1, 1], steps are 0 to 2.
        block: int >= 1, height and width in pixels of the blocks that a generator doubles its
            smallest grid to.

    Example:
        >>> stripes = tf.constant(4 * [0.0, 1.0])[None, None, :, None] * tf.ones([1, 8, 1, 3])
        >>> steps = picture_steps(stripes, block=2)
        >>> steps.grid.numpy()[0].tolist()
        [[1.0, 1.0], [0.0, 0.0]]
        >>> float(steps.mean[0])
        0.5
    """
    across = tf.reduce_mean(tf.abs(images[:, :, 1:] - images[:, :, :-1]), [1, 3])
    down = tf.reduce_mean(tf.abs(images[:, 1:] - images[:, :-1]), [2, 3])
    height, width = (tf.cast(tf.shape(images)[axis], images.dtype) for axis in (1, 2))
    # Every row has W - 1 horizontal steps, every column H - 1 vertical ones.
    total = height * tf.reduce_sum(across, 1) + width * tf.reduce_sum(down, 1)
    mean = total / (height * (width - 1) + width * (height - 1))
    directions = (across, down)
    return PictureSteps(
        mean,
        tf.stack([_by_position(steps, block) for steps in directions], 1),
        tf.stack(
            [tf.concat([steps[:, :_BORDER], steps[:, -_BORDER:]], 1) for steps in directions], 1
        ),
    )


def _by_position(steps: tf.Tensor, block: int) -> tf.Tensor:
    """Means of `[B, N]` by position modulo `block`, without the border: `[B, block]`."""
    inner = tf.transpose(steps[:, _BORDER:-_BORDER])
    # Entry i is the step at position i + 1.
    place = (tf.range(tf.shape(inner)[0]) + _BORDER + 1) % block
    sums = tf.math.unsorted_segment_sum(inner, place, block)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(inner), place, block)
    return tf.transpose(sums / counts)


def grid_ratio(grid: ArrayLike) -> float:
    """The largest step of all positions in a block, over the median position.

    Args:
        grid: `[N, 2, block]`, `PictureSteps.grid` of all pictures.

    Returns:
        `max_d,r m[d, r] / median_r m[d, r]` with `m[d, r]` the mean over pictures of the step of
        direction `d` at position `r`. 1 means that all positions are alike. A direction whose
        median is zero is left out; NaN if both are.

    Example:
        >>> grid_ratio([[[3.0, 1.0, 1.0], [1.0, 1.0, 1.0]]])
        3.0
    """
    mean, median = _means(grid)
    return _largest(mean / median)


def border_ratio(border: ArrayLike, grid: ArrayLike) -> float:
    """The largest of the outermost two steps of each side, over the median position inside.

    Args:
        border: `[N, 2, 4]`, `PictureSteps.border` of all pictures.
        grid: `[N, 2, block]`, `PictureSteps.grid` of them.

    Returns:
        The ratio, as of `grid_ratio`.

    Example:
        >>> border_ratio([[[1.0, 1.0, 1.0, 4.0], [1.0, 1.0, 1.0, 1.0]]], np.full([1, 2, 3], 2.0))
        2.0
    """
    _, median = _means(grid)
    return _largest(np.ma.masked_array(np.asarray(border, np.float64).mean(0)) / median)


def _means(grid: ArrayLike) -> tuple[np.ma.MaskedArray, np.ma.MaskedArray]:
    """Means over pictures `[2, block]`, and their medians `[2, 1]`; masked where there is none."""
    mean = np.ma.masked_invalid(np.asarray(grid, np.float64)).mean(0)
    return mean, np.ma.masked_equal(np.ma.median(mean, axis=1, keepdims=True), 0.0)


def _largest(ratios: np.ma.MaskedArray) -> float:
    return float(ratios.max()) if ratios.count() else float("nan")
