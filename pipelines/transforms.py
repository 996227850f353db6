"""Operations on one example, as factories that return dictionary → dictionary functions.

An example holds `image` float32 `[H, W, 3]`, `label` int32 `[H, W]` and, possibly, `instance`
int32 `[H, W]`, which are always transformed together. Random operations draw from
`example["seed"]`, an int64 `[2]`, and from nothing else. Everything works eagerly and in tf.data.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from pipelines.schema import DataError

Example = dict[str, tf.Tensor]
Transform = Callable[[Example], Example]

_ID_KEYS = ("label", "instance")

# One per random operation: operations that share a seed must not draw the same numbers.
_CROP_SALT = 1
_FLIP_SALT = 2


def resize(height: int, width: int) -> Transform:
    """Scales the image by antialiased bicubic interpolation, ids by nearest neighbour.

    Row `i` of the ids is row `floor(i * H / height)` of the source, likewise for columns. The
    image overshoots at edges, so it is clipped to 0..255.

    Args:
        height: int, at least 1, in pixels.
        width: int, at least 1, in pixels.

    Returns:
        Function from an example to an example of the given size.

    Raises:
        DataError: if a size is below 1.

    Reference: Keys 1981, cubic convolution with a = -0.5; ids differ from
        `tf.image.resize(..., "nearest")`, which samples half a source step further.
    """
    _check_size("resize", height, width)

    def apply(example: Example) -> Example:
        example = dict(example)
        image = tf.image.resize(
            example["image"], (height, width), method=tf.image.ResizeMethod.BICUBIC, antialias=True
        )
        example["image"] = tf.clip_by_value(image, 0.0, 255.0)
        for key in _id_keys(example):
            source = tf.shape(example[key])
            rows = tf.range(height) * source[0] // height
            columns = tf.range(width) * source[1] // width
            ids = tf.gather(tf.gather(example[key], rows, axis=0), columns, axis=1)
            example[key] = tf.ensure_shape(ids, (height, width))
        return example

    return apply


def random_crop(height: int, width: int) -> Transform:
    """Cuts out a rectangle whose place is uniform over all that fit.

    Args:
        height: int, at least 1, in pixels.
        width: int, at least 1, in pixels.

    Returns:
        Function from an example with `seed` to an example of the given size. It raises `DataError`
        if the image is smaller and its size is known, and fails as the graph runs otherwise.

    Raises:
        DataError: if a size is below 1.
    """
    _check_size("random_crop", height, width)

    def apply(example: Example) -> Example:
        example = _with_room("random_crop", example, height, width)
        room = tf.shape(example["image"])[:2] - (height, width)
        seeds = tf.random.split(_salted(example, _CROP_SALT), 2)
        top, left = (
            tf.random.stateless_uniform(
                (), seed=seeds[axis], minval=0, maxval=room[axis] + 1, dtype=tf.int32
            )
            for axis in range(2)
        )
        return _crop(example, top, left, height, width)

    return apply


def center_crop(height: int, width: int) -> Transform:
    """Cuts out the rectangle in the middle; of an odd margin, the larger half is below and right.

    Args:
        height: int, at least 1, in pixels.
        width: int, at least 1, in pixels.

    Returns:
        Function from an example to an example of the given size; it fails as `random_crop` does.

    Raises:
        DataError: if a size is below 1.
    """
    _check_size("center_crop", height, width)

    def apply(example: Example) -> Example:
        example = _with_room("center_crop", example, height, width)
        top, left = tf.unstack((tf.shape(example["image"])[:2] - (height, width)) // 2)
        return _crop(example, top, left, height, width)

    return apply


def random_flip() -> Transform:
    """Mirrors left and right with probability 1/2.

    Returns:
        Function from an example with `seed` to an example of the same size.
    """

    def apply(example: Example) -> Example:
        example = dict(example)
        flip = tf.random.stateless_uniform((), seed=_salted(example, _FLIP_SALT)) < 0.5
        for key in ("image", *_id_keys(example)):
            mirrored = tf.reverse(example[key], axis=[1])
            example[key] = tf.where(flip, mirrored, example[key])
        return example

    return apply


def normalize() -> Transform:
    """Scales the image from 0..255 to -1..1: `x / 127.5 - 1`.

    Returns:
        Function from an example to an example of the same size.
    """

    def apply(example: Example) -> Example:
        return example | {"image": tf.cast(example["image"], tf.float32) / 127.5 - 1.0}

    return apply


def _check_size(name: str, height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise DataError(f"{name}: {height}x{width} (height x width) received; give 1 or more")


def _id_keys(example: Example) -> list[str]:
    return [key for key in _ID_KEYS if key in example]


def _salted(example: Example, salt: int) -> tf.Tensor:
    if "seed" not in example:
        raise DataError("example: no 'seed' in it; random operations need one, an int64 [2]")
    return tf.random.fold_in(example["seed"], salt)


def _with_room(name: str, example: Example, height: int, width: int) -> Example:
    """Returns the example with its image checked to be at least as large as the crop."""
    image = example["image"]
    static_height, static_width = image.shape[0], image.shape[1]
    if (static_height is not None and static_height < height) or (
        static_width is not None and static_width < width
    ):
        raise DataError(
            f"{name}: crop of {height}x{width} is larger than the image of "
            f"{static_height}x{static_width} (height x width); lower crop_size or raise load_size"
        )
    size = tf.shape(image)[:2]
    fits = tf.debugging.Assert(
        tf.reduce_all(size >= (height, width)),
        [
            f"{name}: crop of {height}x{width} is larger than the image of",
            size,
            "(height x width); lower crop_size or set load_size",
        ],
    )
    with tf.control_dependencies([] if fits is None else [fits]):
        return example | {"image": tf.identity(image)}


def _crop(example: Example, top: tf.Tensor, left: tf.Tensor, height: int, width: int) -> Example:
    example = dict(example)
    for key in ("image", *_id_keys(example)):
        cropped = example[key][top : top + height, left : left + width]
        example[key] = tf.ensure_shape(cropped, (height, width, *example[key].shape[2:]))
    return example
