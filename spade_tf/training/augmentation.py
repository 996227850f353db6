"""Differentiable augmentation (DiffAugment) for small data sets.

All pictures that the discriminator sees are augmented. The gradient reaches the generator through
the augmentation. The caller passes in all random numbers: other ones for each example, and the
same ones for the fake and the real picture of an example.

Reference: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training",
    https://arxiv.org/abs/2006.10738.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from spade_tf.layers.semantics import Semantics

# How many random numbers each policy needs per example.
_DRAWS = {"color": 3, "translation": 2, "cutout": 2}
POLICIES = tuple(_DRAWS)

# The label of a pixel that the augmented picture does not show. Its one-hot vector is zero.
OUTSIDE = -1

_TRANSLATION_RATIO = 0.125
_CUTOUT_RATIO = 0.5


class Augment(Protocol):
    """What the discriminator's input is augmented with, such as `DiffAugment`."""

    num_draws: int

    def __call__(
        self, semantics: Semantics, images: tf.Tensor, draws: tf.Tensor
    ) -> tuple[Semantics, tf.Tensor]:
        """Semantics and pictures, given uniform numbers `[B, num_draws]` in [0, 1)."""


@keras.saving.register_keras_serializable("spade_tf")
class DiffAugment:
    """Augments what the discriminator sees.

    Translation and cutout change the label map with the picture, so that both still match. Where
    they set the picture to zero, the label is `OUTSIDE` and its one-hot vector is zero, like a
    convolution's padding. The discriminator then sees "nothing here", not a grey object of some
    class. A loss per pixel must leave out these pixels. Instance edges move too. No edges are
    added at the frame and the hole, because no instance ends there. Colour changes only the
    picture.

    Args:
        policies: some of `POLICIES`, in the order in which they are applied.

    Attributes:
        num_draws: int, how many random numbers it needs per example.

    Call arguments:
        semantics: the label maps, or continuous maps, of `B` examples.
        images: float `[B, H, W, C]`, pictures of the same size.
        draws: float `[B, num_draws]`, uniform in [0, 1).

    Returns:
        `(semantics, images)`. The first depends on `draws` alone, not on the pictures.

    Raises:
        ValueError: if there is no such policy, or one is named twice.

    Example:
        >>> import numpy as np
        >>> from spade_tf import Semantics
        >>> from spade_tf.training import DiffAugment
        >>> augment = DiffAugment(["translation"])
        >>> semantics = Semantics(1, label=np.zeros((1, 8, 8), "int32"))
        >>> draws = np.full((1, augment.num_draws), 0.5, "float32")
        >>> tuple(augment(semantics, np.ones((1, 8, 8, 3), "float32"), draws)[1].shape)
        (1, 8, 8, 3)
    """

    # Numbers are reserved for all policies, so a policy's numbers do not depend on the others.
    num_draws = sum(_DRAWS.values())

    def __init__(self, policies: Sequence[str]):
        for policy in policies:
            if policy not in POLICIES:
                raise ValueError(
                    f"policy must be one of {', '.join(POLICIES)}: received {policy!r}"
                )
        if len(set(policies)) < len(policies):
            raise ValueError(f"each policy may be named once: received {', '.join(policies)}")
        self.policies = tuple(policies)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"policies": list(self.policies)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DiffAugment:
        """Makes one from what `get_config` gives."""
        return cls(**config)

    def __call__(
        self, semantics: Semantics, images: tf.Tensor, draws: tf.Tensor
    ) -> tuple[Semantics, tf.Tensor]:
        """Augments label maps and pictures."""
        own = dict(zip(POLICIES, tf.split(draws, list(_DRAWS.values()), axis=1), strict=True))
        for policy in self.policies:
            if policy == "color":
                images = color(images, own[policy])
            elif policy == "cutout":
                cut = functools.partial(_kept, kept=~_hole(images, own[policy], _CUTOUT_RATIO))
                images, semantics = cut(images), _map(semantics, cut)
            else:
                rows, columns = _sources(images, own[policy], _TRANSLATION_RATIO)
                move = functools.partial(_moved, rows=rows, columns=columns)
                images, semantics = move(images), _map(semantics, move)
        return semantics, images


def color(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Shifts brightness, then scales saturation and contrast.

    Brightness: `x + u0 - 1/2`. Saturation: `m + 2 u1 (x - m)` with `m` the mean of the pixel's
    channels. Contrast: `m + (u2 + 1/2) (x - m)` with `m` the mean of the picture.

    Args:
        images: float `[B, H, W, C]`, -1 to 1.
        draws: float `[B, 3]` in [0, 1), the `u` of each picture.

    Returns:
        Float `[B, H, W, C]`, which may go beyond ±1.

    Reference: Zhao et al. 2020, section 3.2.
    """
    u = tf.cast(draws, images.dtype)[:, None, None, :]
    x = images + u[..., 0:1] - 0.5
    mean = tf.reduce_mean(x, axis=-1, keepdims=True)
    x = mean + (x - mean) * (2.0 * u[..., 1:2])
    mean = tf.reduce_mean(x, axis=[1, 2, 3], keepdims=True)
    return mean + (x - mean) * (u[..., 2:3] + 0.5)


def translation(
    images: tf.Tensor, draws: tf.Tensor, *, ratio: float = _TRANSLATION_RATIO
) -> tf.Tensor:
    """Moves each picture by whole pixels, up to a share of its height and width.

    It moves down by `floor(u0 (2 n + 1)) - n` with `n` the share of the height, and right
    likewise. Zeros fill the gap.

    Args:
        images: float `[B, H, W, C]`.
        draws: float `[B, 2]` in [0, 1), the `u` of each picture.
        ratio: 0 to 1, the largest share, rounded to pixels.

    Returns:
        Float `[B, H, W, C]`.

    Raises:
        ValueError: if `ratio` is out of range.

    Reference: Zhao et al. 2020, section 3.2: 1/8 of the size.
    """
    _check_ratio(ratio)
    return _moved(images, *_sources(images, draws, ratio))


def cutout(images: tf.Tensor, draws: tf.Tensor, *, ratio: float = _CUTOUT_RATIO) -> tf.Tensor:
    """Sets a rectangle in each picture to zero.

    Its first row is `floor(u0 H) - floor(n / 2)` for a rectangle of `n` rows; columns likewise. The
    part outside the picture has no effect.

    Args:
        images: float `[B, H, W, C]`.
        draws: float `[B, 2]` in [0, 1), the `u` of each picture.
        ratio: 0 to 1, the rectangle's share of height and of width, rounded to pixels.

    Returns:
        Float `[B, H, W, C]`.

    Raises:
        ValueError: if `ratio` is out of range.

    Reference: Zhao et al. 2020, section 3.2: half of the size.
    """
    _check_ratio(ratio)
    return _kept(images, ~_hole(images, draws, ratio))


def _check_ratio(ratio):
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio must be from 0 to 1: received {ratio}")


def _part_of(size, ratio):
    return tf.cast(tf.round(tf.cast(size, tf.float32) * ratio), tf.int32)


def _whole(draws, count):
    """Whole numbers from 0 to `count - 1`, int `[B, 1]`."""
    return tf.cast(tf.floor(draws * tf.cast(count, draws.dtype)), tf.int32)


def _sources(images, draws, ratio):
    """The source row and the source column of each row and column of the moved pictures."""
    found = []
    for axis, size in enumerate(tf.unstack(tf.shape(images)[1:3])):
        limit = _part_of(size, ratio)
        shift = _whole(draws[:, axis : axis + 1], 2 * limit + 1) - limit
        found.append(tf.range(size)[None, :] - shift)
    return found


def _hole(images, draws, ratio):
    """Which pixels the rectangle of each picture covers, bool `[B, H, W]`."""
    covered = []
    for axis, size in enumerate(tf.unstack(tf.shape(images)[1:3])):
        length = _part_of(size, ratio)
        start = _whole(draws[:, axis : axis + 1], size) - length // 2
        covered.append(_inside(tf.range(size)[None, :] - start, length))
    return covered[0][:, :, None] & covered[1][:, None, :]


def _inside(index, size):
    return (index >= 0) & (index < size)


def _moved(x, rows, columns):
    height, width = tf.unstack(tf.shape(x)[1:3])
    moved = tf.gather(x, tf.clip_by_value(rows, 0, height - 1), axis=1, batch_dims=1)
    moved = tf.gather(moved, tf.clip_by_value(columns, 0, width - 1), axis=2, batch_dims=1)
    inside = _inside(rows, height)[:, :, None] & _inside(columns, width)[:, None, :]
    # tf.gather loses the static size.
    return _kept(tf.ensure_shape(moved, x.shape), inside)


def _kept(x, kept):
    """Keeps some pixels of pictures, labels or edges; the rest is zero, `OUTSIDE` or no edge."""
    if x.shape.rank == 4:
        return x * tf.cast(kept, x.dtype)[..., None]
    return x & kept if x.dtype == tf.bool else tf.where(kept, x, tf.constant(OUTSIDE, x.dtype))


def _map(semantics, function):
    if semantics.label is None:
        return Semantics(
            semantics.num_labels, dense=function(semantics.dense), dtype=semantics.dtype
        )
    edges = None if semantics.edges is None else function(semantics.edges)
    return Semantics(
        semantics.num_labels,
        label=function(semantics.label),
        edges=edges,
        dtype=semantics.dtype,
        unlabelled=True,
    )
