"""Files to tensors and back, within an exported graph."""

from __future__ import annotations

import tensorflow as tf

from spade_tf.export.checks import require, some_rows

# What is decoded at most, in pixels of one file: a PNG of few bytes can hold any number.
MAX_PIXELS = 1 << 24

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES = 33
_JPEG_START = b"\xff\xd8\xff"

# Height and width that libjpeg and libpng encode at most.
_LONGEST = {"jpeg": 65_500, "png": 1_000_000}


def decode_ids(name: str, encoded: tf.Tensor) -> tf.Tensor:
    """Maps of ids, from PNG files of one size.

    Args:
        name: of the input, for the sentences.
        encoded: string `[B]`, single-channel PNGs of 8 or 16 bits.

    Returns:
        int32 `[B, H, W]`.
    """
    encoded = some_rows(name, encoded, "file")
    whole = tf.reduce_all(_is_png(encoded))
    sentence = (
        f"{name}: received what is not a PNG file; give single-channel PNGs whose values are ids"
    )
    with tf.control_dependencies([require(whole, sentence)]):
        encoded = tf.identity(encoded)
    height, width, depth, color = _png_header(encoded)
    first = height[0], width[0]
    checks = [
        require(
            tf.reduce_all((color == 0) & ((depth == 8) | (depth == 16))),
            f"{name}: received a PNG of colours, of a palette, or of fewer than 8 bits; save it "
            "as a single-channel PNG of 8 or 16 bits whose values are the ids",
        ),
        require(
            tf.reduce_all((height == first[0]) & (width == first[1])),
            f"{name}: received maps of several sizes; send each size in a request of its own",
        ),
        _few_pixels(name, *first),
    ]
    with tf.control_dependencies(checks):
        encoded = tf.identity(encoded)

    def decode(item):
        # A decoder that is asked for 16 bits stretches what has 8, and changes the ids.
        return tf.cond(
            _bytes(item, 24, 1)[0] == 16,
            lambda: tf.cast(tf.io.decode_png(item, 1, tf.uint16), tf.int32),
            lambda: tf.cast(tf.io.decode_png(item, 1, tf.uint8), tf.int32),
        )[..., 0]

    return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec([None, None], tf.int32))


def decode_photographs(name: str, encoded: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Photographs in [-1, 1], scaled bilinearly.

    Args:
        name: of the input, for the sentences.
        encoded: string `[B]`, JPEG or PNG files of any sizes.
        size: `(height, width)` to scale them to.

    Returns:
        float32 `[B, height, width, 3]`.
    """
    encoded = some_rows(name, encoded, "file")
    is_jpeg = tf.strings.substr(encoded, 0, 3) == _JPEG_START
    check = require(
        tf.reduce_all(is_jpeg | _is_png(encoded)),
        f"{name}: received what is neither a JPEG nor a PNG file; give a photograph as one",
    )
    with tf.control_dependencies([check]):
        encoded = tf.identity(encoded)

    def decode(item):
        height, width = tf.cond(
            _is_png(item[None])[0],
            lambda: tuple(value[0] for value in _png_header(item[None])[:2]),
            lambda: tuple(tf.unstack(tf.image.extract_jpeg_shape(item, tf.int64)[:2])),
        )
        with tf.control_dependencies([_few_pixels(name, height, width)]):
            image = tf.io.decode_image(tf.identity(item), channels=3, expand_animations=False)
        image = tf.ensure_shape(image, [None, None, 3])
        # Scaled first: as floats, a large photograph would take four times the memory and more.
        return tf.image.resize(image, size, "bilinear") / 127.5 - 1.0

    return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec([*size, 3], tf.float32))


def check_encodable(label: tf.Tensor, file_format: str) -> tf.Operation:
    """An assertion that files of pictures of a size can be written.

    Args:
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
        f"label_bytes: {file_format.upper()} files have {longest} pixels of height and of width at "
        f"most, received {{}}x{{}}; scale the label map down{other}",
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


def _is_png(encoded):
    return (tf.strings.length(encoded) >= _PNG_HEADER_BYTES) & (
        tf.strings.substr(encoded, 0, 8) == _PNG_SIGNATURE
    )


def _png_header(encoded):
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
