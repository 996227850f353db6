"""Files to tensors and back, within an exported graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import tensorflow as tf

from spade_tf.export.checks import require, some_rows
from spade_tf.export.orientation import exif_orientation, upright

# What is decoded at most, in pixels of one file: a PNG of few bytes can hold any number.
MAX_PIXELS = 1 << 24

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES = 33
_JPEG_START = b"\xff\xd8\xff"

# Height and width that libjpeg and libpng encode at most.
_LONGEST = {"jpeg": 65_500, "png": 1_000_000}


def map_files(
    name: str,
    encoded: tf.Tensor,
    takes: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    wanted: str,
) -> tf.Tensor:
    """Files of maps, checked as far as their headers go.

    Args:
        name: of the input, for the sentences.
        encoded: string `[B]`, PNGs of one size, upright by their EXIF orientation.
        takes: from bits per channel and colour type, int32 `[B]`, to whether such files are taken.
        wanted: what such files are, for the sentences.

    Returns:
        `encoded`.
    """
    encoded = some_rows(name, encoded, "file")
    whole = tf.reduce_all(is_png(encoded))
    sentence = f"{name}: received what is not a PNG file; give {wanted}"
    with tf.control_dependencies([require(whole, sentence)]):
        encoded = tf.identity(encoded)
    height, width, depth, color = png_header(encoded)
    first = height[0], width[0]
    orientation = tf.reduce_max(exif_orientation(encoded, is_png(encoded)))
    checks = [
        require(
            tf.reduce_all(takes(depth, color)),
            f"{name}: received a PNG of another kind, by its colours or bits; give {wanted}",
        ),
        require(
            tf.reduce_all((height == first[0]) & (width == first[1])),
            f"{name}: received maps of several sizes; send each size in a request of its own",
        ),
        require(
            orientation == 1,
            f"{name}: received a PNG that is stored turned or mirrored (EXIF orientation {{}}); "
            "save it upright, without that tag",
            orientation,
        ),
        _few_pixels(name, *first),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(encoded)


def decode_ids(name: str, encoded: tf.Tensor) -> tf.Tensor:
    """Maps of ids, from PNG files of one size.

    Args:
        name: of the input, for the sentences.
        encoded: string `[B]`, single-channel PNGs of 8 or 16 bits.

    Returns:
        int32 `[B, H, W]`.
    """
    encoded = map_files(
        name,
        encoded,
        lambda depth, color: (color == 0) & ((depth == 8) | (depth == 16)),
        "single-channel PNGs of 8 or 16 bits whose values are ids",
    )

    def decode(item):
        # A decoder that is asked for 16 bits stretches what has 8, and changes the ids.
        return tf.cond(
            _bytes(item, 24, 1)[0] == 16,
            lambda: tf.cast(tf.io.decode_png(item, 1, tf.uint16), tf.int32),
            lambda: tf.cast(tf.io.decode_png(item, 1, tf.uint8), tf.int32),
        )[..., 0]

    return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec([None, None], tf.int32))


def decode_photographs(
    name: str, encoded: tf.Tensor, size: tuple[int, int], shape: str = "stretch"
) -> tf.Tensor:
    """Photographs in [-1, 1], upright and scaled as in training: bicubic and antialiased.

    Args:
        name: of the input, for the sentences.
        encoded: string `[B]`, JPEG or PNG files of any sizes.
        size: `(height, width)` that they get.
        shape: how: see `SourceFiles.photographs`.

    Returns:
        float32 `[B, height, width, 3]`.
    """
    encoded = some_rows(name, encoded, "file")
    is_jpeg = tf.strings.substr(encoded, 0, 3) == _JPEG_START
    check = require(
        tf.reduce_all(is_jpeg | is_png(encoded)),
        f"{name}: received what is neither a JPEG nor a PNG file; give a photograph as one",
    )
    with tf.control_dependencies([check]):
        encoded = tf.identity(encoded)

    orientation = exif_orientation(encoded, is_png(encoded))

    def decode(inputs):
        item, orientation = inputs
        of_png = is_png(item[None])[0]
        height, width = tf.cond(
            of_png,
            lambda: tuple(value[0] for value in png_header(item[None])[:2]),
            lambda: tuple(tf.unstack(tf.image.extract_jpeg_shape(item, tf.int64)[:2])),
        )
        with tf.control_dependencies([_few_pixels(name, height, width)]):
            image = tf.io.decode_image(tf.identity(item), channels=3, expand_animations=False)
        image = tf.ensure_shape(image, [None, None, 3])
        image = _scaled_photograph(name, upright(image, orientation), size, shape)
        # Bicubic interpolation overshoots at edges.
        return tf.clip_by_value(image, 0.0, 255.0) / 127.5 - 1.0

    spec = tf.TensorSpec([*size, 3], tf.float32)
    return tf.map_fn(decode, (encoded, orientation), fn_output_signature=spec)


def _scaled_photograph(name, image, size, shape):
    height, width = size
    # Scaled as it is: as floats, a large photograph would take four times the memory and more.
    scale = partial(tf.image.resize, method="bicubic", antialias=True)
    if shape == "stretch":
        return scale(image, size)
    given = tf.shape(image)[:2]
    if shape == "cover":
        # As `scale_to_cover` of the input pipeline does: the middle of what covers the size.
        by_height = height * given[1] >= width * given[0]
        covering = tf.where(
            by_height,
            tf.stack([height, height * given[1] // given[0]]),
            tf.stack([width * given[0] // given[1], width]),
        )
        image = scale(image, covering)
        given = covering
    else:
        large_enough = require(
            tf.reduce_all(given >= size),
            f"{name}: received a photograph of {{}}x{{}} pixels, and this model takes crops of "
            f"{height}x{width} of photographs as they are; give a larger one",
            given[0],
            given[1],
        )
        with tf.control_dependencies([large_enough]):
            image = tf.cast(image, tf.float32)
    top, left = tf.unstack((given - size) // 2)
    return tf.ensure_shape(image[top : top + height, left : left + width], [*size, 3])


def check_encodable(name: str, label: tf.Tensor, file_format: str) -> tf.Operation:
    """An assertion that files of pictures of a size can be written.

    Args:
        name: of the input that their size comes from.
        label: int `[B, H, W]`, of the size of the pictures.
        file_format: "png" or "jpeg".

    Returns:
        An operation to depend on.
    """
    _, height, width = tf.unstack(tf.shape(label))
    longest = _LONGEST[file_format]
    other = "; generate_png_bytes makes longer ones" if file_format == "jpeg" else ""
    return require(
        tf.maximum(height, width) <= longest,
        f"{name}: {file_format.upper()} files have {longest} pixels of height and of width at "
        f"most, received {{}}x{{}}; scale the map down{other}",
        height,
        width,
    )


def encode_pictures(image: tf.Tensor, file_format: str) -> tf.Tensor:
    """Files of pictures.

    Args:
        image: uint8 `[B, H, W, 3]`.
        file_format: "png", or "jpeg" of quality 95 without chroma subsampling.

    Returns:
        string `[B]`.
    """

    def encode(item):
        if file_format == "png":
            return tf.io.encode_png(item)
        return tf.io.encode_jpeg(item, quality=95, chroma_downsampling=False)

    return tf.map_fn(encode, image, fn_output_signature=tf.TensorSpec([], tf.string))


def is_png(encoded: tf.Tensor) -> tf.Tensor:
    """Which files begin as a PNG does: bool `[B]`."""
    return (tf.strings.length(encoded) >= _PNG_HEADER_BYTES) & (
        tf.strings.substr(encoded, 0, 8) == _PNG_SIGNATURE
    )


def png_header(encoded: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Height, width, bits per channel and colour type: int64 `[B]`, and int32 `[B]` twice."""
    sizes = tf.cast(_bytes(encoded, 16, 8), tf.int64)
    powers = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    width = tf.reduce_sum(sizes[:, :4] * powers, 1)
    height = tf.reduce_sum(sizes[:, 4:] * powers, 1)
    kinds = tf.cast(_bytes(encoded, 24, 2), tf.int32)
    return height, width, kinds[:, 0], kinds[:, 1]


def _bytes(encoded, start, count):
    part = tf.strings.substr(encoded, start, count)
    return tf.io.decode_raw(part, tf.uint8, fixed_length=None)[..., :count]


def _few_pixels(name, height, width):
    height, width = tf.cast(height, tf.int64), tf.cast(width, tf.int64)
    # Of sides beyond the limit, the product may be beyond an int64.
    sides = (tf.minimum(height, width) > 0) & (tf.maximum(height, width) <= MAX_PIXELS)
    return require(
        sides & (height * width <= MAX_PIXELS),
        f"{name}: received a file of {{}}x{{}} pixels, and 1 to {MAX_PIXELS} are decoded; "
        "scale it down",
        height,
        width,
    )
