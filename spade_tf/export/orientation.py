"""EXIF orientation, read and applied within an exported graph: TensorFlow's decoders ignore it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

# Parts of a file that are looked through for the tag. One of 16 million pixels has some 6,000.
_MAX_PARTS = 8192
_ORIENTATION = 0x0112
_LONG = 4


def png_chunk(encoded: tf.Tensor, kind: bytes) -> tuple[tf.Tensor, tf.Tensor]:
    """Where a chunk of each PNG is.

    Args:
        encoded: string `[B]`, PNGs.
        kind: the four letters of the chunk.

    Returns:
        int32 `[B]` each: where its content begins (-1 if there is no such chunk), and its length.

    Reference: Portable Network Graphics (PNG) Specification, section 5.3.
    """

    def look(at, size):
        content = _number(encoded, at, tf.int32)
        # Length, kind and checksum take twelve bytes.
        whole = (content >= 0) & (content <= size - at - 12)
        same = whole & (_substr(encoded, at + 4, 4) == kind)
        return tf.where(whole, at + 12 + content, size), same, at + 8, content

    return _search(encoded, 8, look)


def exif_orientation(encoded: tf.Tensor, is_png: tf.Tensor) -> tf.Tensor:
    """EXIF orientation of files, as `PIL.Image.Image.getexif` reads it.

    Args:
        encoded: string `[B]`, JPEGs and PNGs.
        is_png: bool `[B]`, which of the two each is.

    Returns:
        int32 `[B]`: 1 to 8; 1, upright, where there is none or none that can be read.

    Reference: CIPA DC-008, Exif 2.32, sections 4.5 and 4.6.
    """
    places = zip(png_chunk(encoded, b"eXIf"), _jpeg_exif(encoded), strict=True)
    start, length = (tf.where(is_png, png, jpeg) for png, jpeg in places)
    length = tf.where(start < 0, 0, length)
    tiff = tf.strings.substr(encoded, tf.maximum(start, 0), length)
    return tf.map_fn(_tiff_orientation, tiff, fn_output_signature=tf.TensorSpec([], tf.int32))


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """A picture as it is to be seen.

    Args:
        image: `[H, W, C]`, as it is stored.
        orientation: int32 scalar, 1 to 8.

    Returns:
        `[H, W, C]`, or `[W, H, C]` where rows are columns.
    """

    def turned(*values):
        return tf.reduce_any(orientation == values)

    channels = image.shape[-1]
    image = tf.cond(orientation > 4, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    image = tf.cond(turned(2, 3, 6, 7), lambda: tf.reverse(image, [1]), lambda: image)
    image = tf.cond(turned(3, 4, 7, 8), lambda: tf.reverse(image, [0]), lambda: image)
    return tf.ensure_shape(image, [None, None, channels])


def _jpeg_exif(encoded):
    """Where the TIFF structure of the first Exif segment begins, or -1, and its length."""

    def look(at, size):
        marker = _number(encoded, at, tf.uint16)
        content = _number(encoded, at + 2, tf.uint16)
        same = (marker == 0xFFE1) & (_substr(encoded, at + 4, 6) == b"Exif\0\0")
        same &= (content >= 8) & (at + 2 + content <= size)
        # 0xFF may be repeated before a marker; pixels follow 0xFFDA, and no marker ends the search.
        is_over = (marker < 0xFFC0) | (marker == 0xFFDA) | (marker == 0xFFD9)
        following = tf.where(is_over, size, at + 2 + content)
        return tf.where(marker == 0xFFFF, at + 1, following), same, at + 10, content - 8

    return _search(encoded, 2, look)


def _search(encoded, first, look):
    """Goes through the parts of all files at once, until what is looked for is found in each.

    `look` gives, for places `[B]`, the next ones, whether it is there, where it begins and its
    length. (A loop for each file would be one within another, which TensorFlow's graph optimizers
    complain of.)
    """
    size = tf.strings.length(encoded)

    def step(at, start, length):
        # Files that are done with are looked at where they can be, for nothing.
        going = (start < 0) & (at <= size - 12)
        following, found, begin, count = look(tf.where(going, at, 0), size)
        found &= going
        return (
            tf.where(going, following, size),
            tf.where(found, begin, start),
            tf.where(found, count, length),
        )

    zero = tf.zeros_like(size)
    return tf.while_loop(
        lambda at, start, _: tf.reduce_any((start < 0) & (at <= size - 12)),
        step,
        (zero + first, zero - 1, zero),
        maximum_iterations=_MAX_PARTS,
    )[1:]


def _tiff_orientation(tiff):
    little = tf.strings.substr(tiff, 0, 2) == b"II"
    size = tf.strings.length(tiff)

    def number(at, dtype):
        return tf.where(
            little,
            _number(tiff[None], [at], dtype, little_endian=True)[0],
            _number(tiff[None], [at], dtype)[0],
        )

    def read():
        first = number(4, tf.int32)
        return tf.cond((first >= 8) & (first <= size - 2), lambda: entries(first), upright_value)

    def entries(first):
        count = tf.minimum(number(first, tf.uint16), (size - first - 2) // 12)
        part = tf.strings.substr(tiff, first + 2, count * 12)
        words = [
            tf.cast(tf.io.decode_raw(part, tf.uint16, little_endian=order), tf.int32)
            for order in (True, False)
        ]
        # Tag, type, number of values (two words), the value (two words).
        table = tf.reshape(tf.where(little, *words), [-1, 6])
        last_word = ~little & (table[:, 1] == _LONG)
        values = tf.where(last_word, table[:, 5], table[:, 4])
        fits = (table[:, 0] == _ORIENTATION) & (values >= 1) & (values <= 8)
        # Of no tags, too.
        return tf.reduce_max(tf.concat([[1], tf.where(fits, values, 1)], 0))

    def upright_value():
        return tf.constant(1)

    known = little | (tf.strings.substr(tiff, 0, 2) == b"MM")
    return tf.cond(known & (size >= 14), read, upright_value)


def _substr(encoded: tf.Tensor, at: Any, count: int) -> tf.Tensor:
    """Some bytes of each file `[B]`, as many as there are; a place beyond its end stands for it."""
    at = tf.minimum(at, tf.strings.length(encoded))
    return tf.strings.substr(encoded, at, tf.zeros_like(at) + count)


def _number(encoded: tf.Tensor, at: Any, dtype: tf.DType, little_endian: bool = False) -> tf.Tensor:
    """The number at a place of each file, as int32 `[B]`."""
    part = _substr(encoded, at, dtype.size)
    # Beyond the end of a file there are zeros.
    size = tf.strings.length(part)
    zeros = tf.strings.substr(tf.fill(tf.shape(part), bytes(4)), size, dtype.size - size)
    part = tf.strings.join([part, zeros])
    return tf.cast(tf.io.decode_raw(part, dtype, little_endian=little_endian)[:, 0], tf.int32)
