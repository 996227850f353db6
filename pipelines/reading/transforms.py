"""Operations that crop, mirror and recolour an example: factories of functions, example to example.

Image and maps of an example (see `pipelines.reading.examples`) are changed together. Everything
works eagerly and in tf.data.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipelines.reading.examples import (
    COLOR_SALT,
    Example,
    Transform,
    check_size,
    draw_crop_position,
    draw_flip,
    map_keys,
    salted,
    source_size,
)
from pipelines.schema import ArgumentError, DataError

# Red, green and blue in the brightness that is seen (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


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
    check_size("random_crop", height, width)

    def apply(example: Example) -> Example:
        example = _with_room("random_crop", example, height, width)
        room = source_size(example) - (height, width)
        top, left = draw_crop_position(example, room)
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
    check_size("center_crop", height, width)

    def apply(example: Example) -> Example:
        example = _with_room("center_crop", example, height, width)
        top, left = tf.unstack((source_size(example) - (height, width)) // 2)
        return _crop(example, top, left, height, width)

    return apply


def random_flip() -> Transform:
    """Mirrors left and right with probability 1/2.

    Returns:
        Function from an example with `seed` to an example of the same size.
    """

    def apply(example: Example) -> Example:
        flip = draw_flip(example)
        keys = map_keys(example)
        maps = [example[key] for key in keys]

        def mirrored() -> list[tf.Tensor]:
            return [tf.reverse(value, axis=[1]) for value in maps]

        # Choosing pixel by pixel takes longer than all other operations on the image together.
        return example | dict(zip(keys, tf.cond(flip, mirrored, lambda: maps), strict=True))

    return apply


def color_jitter(
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
) -> Transform:
    """Changes the colours of the image at random; maps are left alone.

    Brightness, contrast and saturation are multiplied by a factor that is uniform in `1 ± value`;
    contrast counts from the mean brightness of the image, saturation from each pixel's. Then the
    hue is turned by an angle that is uniform in `±hue` turns. The result is clipped to 0..255.

    Args:
        brightness: 0 to 1.
        contrast: 0 to 1.
        saturation: 0 to 1.
        hue: 0 to 0.5, in turns of the colour circle (the chrominance plane of YIQ).

    Returns:
        Function from an example with `seed` to an example of the same size.

    Raises:
        DataError: if an argument is out of range.
    """
    limits = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.5}
    given = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
    for name, value in given.items():
        if not 0 <= value <= limits[name]:
            raise ArgumentError(
                "color_jitter", f"{name} {value} received; give 0 to {limits[name]:g}"
            )
    luma = tf.constant(_LUMA)[:, None]
    # Rows are the three coordinates of YIQ.
    to_yiq = np.array([_LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)], np.float32)
    from_yiq = np.linalg.inv(to_yiq)

    def apply(example: Example) -> Example:
        seeds = tf.random.split(salted(example, COLOR_SALT), 4)

        def draw(index: int, extent: float) -> tf.Tensor:
            return tf.random.stateless_uniform((), seeds[index], minval=-extent, maxval=extent)

        image = example["image"] * (1.0 + draw(0, brightness))
        mean = tf.reduce_mean(tf.linalg.matmul(image, luma))
        image = mean + (image - mean) * (1.0 + draw(1, contrast))
        grey = tf.linalg.matmul(image, luma)
        image = grey + (image - grey) * (1.0 + draw(2, saturation))
        if hue:
            angle = 2.0 * np.pi * draw(3, hue)
            cos, sin = tf.cos(angle), tf.sin(angle)
            turn = tf.stack([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
            image = tf.linalg.matmul(image, from_yiq @ turn @ to_yiq, transpose_b=True)
        return example | {"image": tf.clip_by_value(image, 0.0, 255.0)}

    return apply


def normalize() -> Transform:
    """Scales the image from 0..255 to -1..1: `x / 127.5 - 1`.

    Returns:
        Function from an example to an example of the same size.
    """

    def apply(example: Example) -> Example:
        return example | {"image": tf.cast(example["image"], tf.float32) / 127.5 - 1.0}

    return apply


def _with_room(name: str, example: Example, height: int, width: int) -> Example:
    """Returns the example with its size checked to be at least as large as the crop."""
    key = map_keys(example)[0]
    image = example[key]
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
        return example | {key: tf.identity(image)}


def _crop(example: Example, top: tf.Tensor, left: tf.Tensor, height: int, width: int) -> Example:
    example = dict(example)
    for key in map_keys(example):
        cropped = example[key][top : top + height, left : left + width]
        example[key] = tf.ensure_shape(cropped, (height, width, *example[key].shape[2:]))
    return example
