"""Differentiable augmentation for small data sets: the same operation on real and on fake.

The discriminator never sees a picture that was not augmented, and the gradient reaches the
generator through the augmentation. Each function draws from its seed alone: call it with one seed
for the real and for the fake picture of an update, and with another seed for the next update.

Reference: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training",
    https://arxiv.org/abs/2006.10738.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from spade_tf.layers.semantics import Semantics

POLICIES = ("color", "translation", "cutout")


def make_augment(
    policies: Sequence[str],
) -> Callable[[Semantics, tf.Tensor, tf.Tensor], tuple[Semantics, tf.Tensor]]:
    """What `GauGAN` augments the discriminator's input with.

    The label map is moved with the picture, so that they still lie over each other; where zeros
    come into the picture, the map repeats its border. Colour and cutout leave it alone.

    Args:
        policies: some of `POLICIES`, in the order in which they are applied.

    Returns:
        Function of semantics, pictures `[B, H, W, C]` of the same size, and an int seed `[2]`,
        that returns semantics and pictures.

    Raises:
        ValueError: if there is no such policy.
    """
    for policy in policies:
        if policy not in POLICIES:
            raise ValueError(f"policy must be one of {', '.join(POLICIES)}: received {policy!r}")

    def augment(
        semantics: Semantics, images: tf.Tensor, seed: tf.Tensor
    ) -> tuple[Semantics, tf.Tensor]:
        for policy in policies:
            salted = tf.random.fold_in(seed, POLICIES.index(policy))
            if policy == "color":
                images = color(images, salted)
            elif policy == "cutout":
                images = cutout(images, salted)
            else:
                rows, columns = _moved_indices(images, salted, _TRANSLATION_RATIO)
                images = _moved(images, rows, columns, fill_with_zeros=True)
                semantics = _moved_semantics(semantics, rows, columns)
        return semantics, images

    return augment


_TRANSLATION_RATIO = 0.125


def color(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Shifts brightness, then scales saturation and contrast, by a draw of each image's own.

    Brightness: `x + u`, `u` uniform in ±1/2. Saturation: `m + s (x - m)` with `m` the mean of the
    pixel's channels, `s` uniform in 0..2. Contrast: the same with `m` the mean of the image and
    `s` uniform in 1/2..3/2.

    Args:
        images: float `[B, H, W, C]`, -1 to 1.
        seed: int `[2]`.

    Returns:
        Float `[B, H, W, C]`, which may go beyond ±1.

    Reference: Zhao et al. 2020, section 3.2.
    """
    seeds = tf.random.split(seed, 3)
    x = images + _uniform(images, seeds[0], -0.5, 0.5)
    mean = tf.reduce_mean(x, axis=-1, keepdims=True)
    x = mean + (x - mean) * _uniform(images, seeds[1], 0.0, 2.0)
    mean = tf.reduce_mean(x, axis=[1, 2, 3], keepdims=True)
    return mean + (x - mean) * _uniform(images, seeds[2], 0.5, 1.5)


def translation(
    images: tf.Tensor, seed: tf.Tensor, *, ratio: float = _TRANSLATION_RATIO
) -> tf.Tensor:
    """Moves each image by whole pixels, up to a share of its height and width; zeros come in.

    Args:
        images: float `[B, H, W, C]`.
        seed: int `[2]`.
        ratio: 0 to 1, the largest share, rounded to pixels.

    Returns:
        Float `[B, H, W, C]`.

    Raises:
        ValueError: if `ratio` is out of range.

    Reference: Zhao et al. 2020, section 3.2: 1/8 of the size.
    """
    _check_ratio(ratio)
    rows, columns = _moved_indices(images, seed, ratio)
    return _moved(images, rows, columns, fill_with_zeros=True)


def cutout(images: tf.Tensor, seed: tf.Tensor, *, ratio: float = 0.5) -> tf.Tensor:
    """Sets a rectangle in each image to zero; its centre is uniform over the image.

    Args:
        images: float `[B, H, W, C]`.
        seed: int `[2]`.
        ratio: 0 to 1, the rectangle's share of height and of width, rounded to pixels. What of it
            lies outside the image is lost.

    Returns:
        Float `[B, H, W, C]`.

    Raises:
        ValueError: if `ratio` is out of range.

    Reference: Zhao et al. 2020, section 3.2: half of the size.
    """
    _check_ratio(ratio)
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    rows = _covered(batch, height, ratio, seed, salt=0)
    columns = _covered(batch, width, ratio, seed, salt=1)
    cut = rows[:, :, None] & columns[:, None, :]
    return images * tf.cast(~cut, images.dtype)[..., None]


def _check_ratio(ratio: float) -> None:
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio must be from 0 to 1: received {ratio}")


def _uniform(images: tf.Tensor, seed: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """One number for each image."""
    drawn = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed, low, high)
    return tf.cast(drawn, images.dtype)


def _part_of(size: tf.Tensor, ratio: float) -> tf.Tensor:
    return tf.cast(tf.round(tf.cast(size, tf.float32) * ratio), tf.int32)


def _moved_indices(images: tf.Tensor, seed: tf.Tensor, ratio: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Which row and which column of the source each one of the moved images shows."""
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    rows = tf.range(height)[None, :] - _shifts(batch, height, ratio, seed, salt=0)
    columns = tf.range(width)[None, :] - _shifts(batch, width, ratio, seed, salt=1)
    return rows, columns


def _moved(
    x: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, *, fill_with_zeros: bool
) -> tf.Tensor:
    height, width = tf.unstack(tf.shape(x)[1:3])
    moved = tf.gather(x, tf.clip_by_value(rows, 0, height - 1), axis=1, batch_dims=1)
    moved = tf.gather(moved, tf.clip_by_value(columns, 0, width - 1), axis=2, batch_dims=1)
    # Gathering loses what is known of the size.
    moved = tf.ensure_shape(moved, x.shape)
    if not fill_with_zeros:
        return moved
    inside = _inside(rows, height)[:, :, None] & _inside(columns, width)[:, None, :]
    return moved * tf.cast(inside[..., None], x.dtype)


def _moved_semantics(semantics: Semantics, rows: tf.Tensor, columns: tf.Tensor) -> Semantics:
    def move(x: tf.Tensor | None) -> tf.Tensor | None:
        return None if x is None else _moved(x, rows, columns, fill_with_zeros=False)

    if semantics.label is None:
        return Semantics(semantics.num_labels, dense=move(semantics.dense), dtype=semantics.dtype)
    return Semantics(
        semantics.num_labels,
        label=move(semantics.label),
        edges=move(semantics.edges),
        dtype=semantics.dtype,
    )


def _shifts(
    batch: tf.Tensor, size: tf.Tensor, ratio: float, seed: tf.Tensor, *, salt: int
) -> tf.Tensor:
    """How far each image moves along an axis, int `[B, 1]`."""
    limit = _part_of(size, ratio)
    salted = tf.random.fold_in(seed, salt)
    return tf.random.stateless_uniform((batch, 1), salted, -limit, limit + 1, tf.int32)


def _inside(index: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return (index >= 0) & (index < size)


def _covered(
    batch: tf.Tensor, size: tf.Tensor, ratio: float, seed: tf.Tensor, *, salt: int
) -> tf.Tensor:
    """Which rows, or columns, the rectangle of each image covers, bool `[B, size]`."""
    length = _part_of(size, ratio)
    salted = tf.random.fold_in(seed, salt)
    center = tf.random.stateless_uniform((batch, 1), salted, 0, size, tf.int32)
    offset = tf.range(size)[None, :] - (center - length // 2)
    return _inside(offset, length)
