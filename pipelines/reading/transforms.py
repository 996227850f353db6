"""Operations on one example, as factories that return dictionary → dictionary functions.

An example holds some of `image` float32 `[H, W, 3]`, `label` int `[H, W]`, `instance` int `[H, W]`
and `condition` float32 `[H, W, C]`, all of one height and width, which are always transformed
together. Random operations draw from `example["seed"]`, an int64 `[2]`, and from nothing else.
Everything works eagerly and in tf.data.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipelines.reading import resampling
from pipelines.schema import DataError

Example = dict[str, tf.Tensor]
Transform = Callable[[Example], Example]

_ID_KEYS = ("label", "instance")

# One per random operation: operations that share a seed must not draw the same numbers.
_CROP_SALT = 1
_FLIP_SALT = 2
_COLOR_SALT = 3

# Red, green and blue in the brightness that is seen (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


def resize(height: int, width: int) -> Transform:
    """Scales the image by antialiased bicubic interpolation, ids by nearest neighbour.

    Row `i` of the ids is row `floor(i * H / height)` of the source, likewise for columns. The
    image overshoots at edges, so it is clipped to 0..255. A condition is scaled by antialiased
    linear interpolation, which does not overshoot.

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
        return _scaled(example, height, width)

    return apply


def scale_width(width: int, multiple: int = 1) -> Transform:
    """Scales as `resize` does, to a width; the height follows, rounded down.

    Args:
        width: int, at least 1, in pixels.
        multiple: int, at least 1, in pixels, that both sides are then rounded to, as
            `round_to_multiple` does. Default 1.

    Returns:
        Function from an example to one of `max(1, floor(width * H / W))` rows.

    Raises:
        DataError: if the width is below 1.
    """
    _check_size("scale_width", width, width)
    width = _rounded(width, multiple) if multiple > 1 else width

    def apply(example: Example) -> Example:
        source = _source_size(example)
        height = _rounded(tf.maximum(width * source[0] // source[1], 1), multiple)
        return _scaled(example, height, width)

    return apply


def scale_short_side(size: int, multiple: int = 1) -> Transform:
    """Scales as `resize` does, the shorter side to a size; the other follows, rounded down.

    Args:
        size: int, at least 1, in pixels.
        multiple: int, at least 1, in pixels, that both sides are then rounded to, as
            `round_to_multiple` does. Default 1.

    Returns:
        Function from an example to one whose shorter side is `size`.

    Raises:
        DataError: if the size is below 1.
    """
    _check_size("scale_short_side", size, size)

    def apply(example: Example) -> Example:
        source = _source_size(example)
        scaled = _rounded(size * source // tf.reduce_min(source), multiple)
        return _scaled(example, scaled[0], scaled[1])

    return apply


def scale_to_cover(height: int, width: int) -> Transform:
    """Scales as `resize` does, to the least size of the same shape that covers a rectangle.

    Args:
        height: int, at least 1, in pixels.
        width: int, at least 1, in pixels.

    Returns:
        Function from an example to one of `height` rows or of `width` columns, or of both; the
        other side follows, rounded down.

    Raises:
        DataError: if a size is below 1.
    """
    _check_size("scale_to_cover", height, width)

    def apply(example: Example) -> Example:
        # Products of two sides may go beyond 32 bits.
        source = tf.cast(_source_size(example), tf.int64)
        by_height = height * source[1] >= width * source[0]
        scaled = tf.where(
            by_height,
            tf.stack([tf.constant(height, tf.int64), height * source[1] // source[0]]),
            tf.stack([width * source[0] // source[1], tf.constant(width, tf.int64)]),
        )
        scaled = tf.cast(scaled, tf.int32)
        return _scaled(example, scaled[0], scaled[1])

    return apply


def round_to_multiple(multiple: int) -> Transform:
    """Scales as `resize` does, both sides to the nearest multiple (halves upwards), at least one.

    Args:
        multiple: int, at least 1, in pixels; 32 is what a generator of five upsamplings makes.

    Returns:
        Function from an example to one whose sides are multiples.

    Raises:
        DataError: if the multiple is below 1.
    """
    _check_size("round_to_multiple", multiple, multiple)

    def apply(example: Example) -> Example:
        rounded = _rounded(_source_size(example), multiple)
        return _scaled(example, rounded[0], rounded[1])

    return apply


def resize_and_random_crop(
    load_height: int, load_width: int, height: int, width: int, flip: bool = False
) -> Transform:
    """Computes what `resize` and then `random_crop` do, but only where the crop is.

    Args:
        load_height: int, at least 1, of the scaled image in pixels.
        load_width: int, at least 1, of the scaled image in pixels.
        height: int, 1 to `load_height`, in pixels.
        width: int, 1 to `load_width`, in pixels.
        flip: bool, whether `random_flip` follows, which takes next to no time here. Default False.

    Returns:
        Function from an example with `seed` to an example of the given size.

    Raises:
        DataError: if a size is below 1, or the crop is larger than the scaled image.
    """
    _check_size("resize_and_random_crop", load_height, load_width)
    _check_size("resize_and_random_crop", height, width)
    if height > load_height or width > load_width:
        raise DataError(
            f"resize_and_random_crop: crop of {height}x{width} is larger than the image of "
            f"{load_height}x{load_width} (height x width); lower crop_size or raise load_size"
        )

    def apply(example: Example) -> Example:
        top, left = _crop_position(example, (load_height - height, load_width - width))
        mirror = _draw_flip(example) if flip else None
        return _scaled(example, load_height, load_width, (top, height), (left, width), mirror)

    return apply


def _scaled(
    example: Example,
    height: resampling.Length,
    width: resampling.Length,
    rows: tuple[tf.Tensor, int] | None = None,
    columns: tuple[tf.Tensor, int] | None = None,
    mirror: tf.Tensor | None = None,
) -> Example:
    """Scales to a size; of the result, `rows` and `columns` (first, number) alone are computed.

    Columns come in reverse order where `mirror`, a bool scalar, is true.
    """
    example = dict(example)
    top, num_rows = rows or (0, height)
    left, num_columns = columns or (0, width)
    static = tuple(
        length if isinstance(length, int) else None for length in (num_rows, num_columns)
    )

    def scale(image: tf.Tensor, kernel: resampling.Kernel) -> tf.Tensor:
        scaled = resampling.scale(
            image, height, width, kernel, rows=rows, columns=columns, mirror=mirror
        )
        return tf.ensure_shape(scaled, (*static, image.shape[-1]))

    if "image" in example:
        image = scale(example["image"], resampling.cubic)
        example["image"] = tf.clip_by_value(image, 0.0, 255.0)
    if "condition" in example:
        example["condition"] = scale(example["condition"], resampling.linear)
    keys = _id_keys(example)
    if keys:
        source = tf.shape(example[keys[0]])
        from_rows = (top + tf.range(num_rows)) * source[0] // height
        from_columns = (left + tf.range(num_columns)) * source[1] // width
        if mirror is not None:
            from_columns = resampling.mirrored(from_columns, mirror)
        maps = [tf.gather(example[key], from_rows) for key in keys]
        for key, ids in zip(keys, _taken_columns(maps, from_columns), strict=True):
            example[key] = tf.ensure_shape(ids, static)
    return example


def _taken_columns(maps: list[tf.Tensor], columns: tf.Tensor) -> list[tf.Tensor]:
    """Picks columns of maps of ids; two of 16 bits at most go as one of 32, in half the time."""
    if len(maps) != 2 or any(ids.dtype not in (tf.uint8, tf.uint16) for ids in maps):
        return [tf.gather(ids, columns, axis=1) for ids in maps]
    low, high = (tf.cast(ids, tf.uint32) for ids in maps)
    both = tf.bitwise.bitwise_or(low, tf.bitwise.left_shift(high, tf.constant(16, tf.uint32)))
    both = tf.gather(both, columns, axis=1)
    # Narrower types keep the low bits.
    low = tf.cast(both, tf.uint16)
    high = tf.bitwise.right_shift(both, tf.constant(16, tf.uint32))
    return [tf.cast(ids, origin.dtype) for ids, origin in zip((low, high), maps, strict=True)]


def _crop_position(example: Example, room: tf.Tensor | tuple[int, int]) -> list[tf.Tensor]:
    """Draws the upper left corner of a crop that leaves this room below and right."""
    seeds = tf.random.split(_salted(example, _CROP_SALT), 2)
    return [
        tf.random.stateless_uniform(
            (), seed=seeds[axis], minval=0, maxval=room[axis] + 1, dtype=tf.int32
        )
        for axis in range(2)
    ]


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
        room = _source_size(example) - (height, width)
        top, left = _crop_position(example, room)
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
        top, left = tf.unstack((_source_size(example) - (height, width)) // 2)
        return _crop(example, top, left, height, width)

    return apply


def random_flip() -> Transform:
    """Mirrors left and right with probability 1/2.

    Returns:
        Function from an example with `seed` to an example of the same size.
    """

    def apply(example: Example) -> Example:
        flip = _draw_flip(example)
        keys = _map_keys(example)
        maps = [example[key] for key in keys]

        def mirrored() -> list[tf.Tensor]:
            return [tf.reverse(value, axis=[1]) for value in maps]

        # Choosing pixel by pixel takes longer than all other operations on the image together.
        return example | dict(zip(keys, tf.cond(flip, mirrored, lambda: maps), strict=True))

    return apply


def _draw_flip(example: Example) -> tf.Tensor:
    return tf.random.stateless_uniform((), seed=_salted(example, _FLIP_SALT)) < 0.5


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
            raise DataError(f"color_jitter: {name} {value} received; give 0 to {limits[name]:g}")
    luma = tf.constant(_LUMA)[:, None]
    # Rows are the three coordinates of YIQ.
    to_yiq = np.array([_LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)], np.float32)
    from_yiq = np.linalg.inv(to_yiq)

    def apply(example: Example) -> Example:
        seeds = tf.random.split(_salted(example, _COLOR_SALT), 4)

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


def _check_size(name: str, height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise DataError(f"{name}: {height}x{width} (height x width) received; give 1 or more")


def _id_keys(example: Example) -> list[str]:
    return [key for key in _ID_KEYS if key in example]


def _map_keys(example: Example) -> list[str]:
    return [key for key in ("image", "condition", *_ID_KEYS) if key in example]


def _salted(example: Example, salt: int) -> tf.Tensor:
    if "seed" not in example:
        raise DataError("example: no 'seed' in it; random operations need one, an int64 [2]")
    return tf.random.fold_in(example["seed"], salt)


def _source_size(example: Example) -> tf.Tensor:
    """Height and width of an example, int32 `[2]`; its image and maps have the same."""
    return tf.shape(example[_map_keys(example)[0]])[:2]


def _rounded(size: tf.Tensor, multiple: int) -> tf.Tensor:
    """The nearest multiple, halves upwards, but at least one."""
    return tf.maximum((size + multiple // 2) // multiple, 1) * multiple


def _with_room(name: str, example: Example, height: int, width: int) -> Example:
    """Returns the example with its size checked to be at least as large as the crop."""
    key = _map_keys(example)[0]
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
    for key in _map_keys(example):
        cropped = example[key][top : top + height, left : left + width]
        example[key] = tf.ensure_shape(cropped, (height, width, *example[key].shape[2:]))
    return example
