"""Operations that scale an example: factories of functions from example to example.

Image and maps of an example (see `pipelines.reading.examples`) are scaled together. Everything
works eagerly and in tf.data.
"""

from __future__ import annotations

import tensorflow as tf

from pipelines.reading import resampling
from pipelines.reading.examples import (
    FLOAT_KEYS,
    Example,
    Transform,
    check_size,
    draw_crop_position,
    draw_flip,
    id_keys,
    source_size,
)
from pipelines.schema import DataError


def resize(height: int, width: int) -> Transform:
    """Scales the image by antialiased bicubic interpolation, ids by nearest neighbour.

    Row `i` of the ids is row `floor((i + 1/2) * H / height)` of the source, which holds the centre
    of the row, likewise for columns: ids stay where the image is. The image overshoots at edges,
    so it is clipped to 0..255. Conditions and canvases are scaled by antialiased linear
    interpolation, which does not overshoot.

    Args:
        height: int, at least 1, in pixels.
        width: int, at least 1, in pixels.

    Returns:
        Function from an example to an example of the given size.

    Raises:
        DataError: if a size is below 1.

    Reference: Keys 1981, cubic convolution with a = -0.5. Ids are those of Pillow's NEAREST.
        Generators scale label maps by another rule, that of the official release: see
        `spade_tf.layers.semantics`.
    """
    check_size("resize", height, width)

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
    check_size("scale_width", width, width)
    width = _rounded(width, multiple) if multiple > 1 else width

    def apply(example: Example) -> Example:
        source = source_size(example)
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
    check_size("scale_short_side", size, size)

    def apply(example: Example) -> Example:
        source = source_size(example)
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
    check_size("scale_to_cover", height, width)

    def apply(example: Example) -> Example:
        # Products of two sides may go beyond 32 bits.
        source = tf.cast(source_size(example), tf.int64)
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
    check_size("round_to_multiple", multiple, multiple)

    def apply(example: Example) -> Example:
        rounded = _rounded(source_size(example), multiple)
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
    check_size("resize_and_random_crop", load_height, load_width)
    check_size("resize_and_random_crop", height, width)
    if height > load_height or width > load_width:
        raise DataError(
            f"resize_and_random_crop: crop of {height}x{width} is larger than the image of "
            f"{load_height}x{load_width} (height x width); lower crop_size or raise load_size"
        )

    def apply(example: Example) -> Example:
        top, left = draw_crop_position(example, (load_height - height, load_width - width))
        mirror = draw_flip(example) if flip else None
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
    for key in FLOAT_KEYS:
        if key in example:
            example[key] = scale(example[key], resampling.linear)
    keys = id_keys(example)
    if keys:
        source = tf.shape(example[keys[0]])
        from_rows = (2 * (top + tf.range(num_rows)) + 1) * source[0] // (2 * height)
        from_columns = (2 * (left + tf.range(num_columns)) + 1) * source[1] // (2 * width)
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


def _rounded(size: tf.Tensor, multiple: int) -> tf.Tensor:
    """The nearest multiple, halves upwards, but at least one."""
    return tf.maximum((size + multiple // 2) // multiple, 1) * multiple
