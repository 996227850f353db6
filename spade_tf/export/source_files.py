"""Maps from files like those that a model was trained on, within an exported graph."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from spade_tf.export.checks import require
from spade_tf.export.decoding import decode_ids, map_files, png_header
from spade_tf.export.orientation import png_chunk

_PALETTE, _RGB, _RGBA = 3, 2, 6


class SourceFiles(NamedTuple):
    """What files hold, and what becomes of it.

    Attributes:
        id_table: the id of each value of a label map, -1 for those that may not be there; empty
            where files hold ids as they are.
        palette_indices: whether PNGs with a palette are taken too, for their indices.
        colors: colours that label maps are drawn in; empty where they hold values.
        color_ids: the id of each.
        off_palette_id: what other colours are taken for; None to refuse them.
        condition_channels: channels of continuous maps, which are there in place of label maps; 0
            for label maps.
        photographs: how photographs get the size of the encoder: "stretch", whatever their shape;
            "cover", the middle of what covers it; or "crop", the middle as it is.

    Example:
        >>> from spade_tf.export import SourceFiles
        >>> SourceFiles(id_table=(0, -1, 1)).id_table[2]
        1
    """

    id_table: tuple[int, ...] = ()
    palette_indices: bool = False
    colors: tuple[tuple[int, int, int], ...] = ()
    color_ids: tuple[int, ...] = ()
    off_palette_id: int | None = None
    condition_channels: int = 0
    photographs: str = "stretch"


def decode_labels(name: str, encoded: tf.Tensor, files: SourceFiles) -> tf.Tensor:
    """Label maps, as a model is trained on them.

    Args:
        name: of the input, for the sentences.
        encoded: string `[B]`, PNGs of one size.
        files: what they hold.

    Returns:
        int32 `[B, H, W]`.
    """
    if files.colors:
        return _decode_colors(name, encoded, files)
    ids = _decode_indices(name, encoded) if files.palette_indices else decode_ids(name, encoded)
    if not files.id_table:
        return ids
    table = tf.constant(files.id_table, tf.int32)
    count = len(files.id_table)
    mapped = tf.where(ids < count, tf.gather(table, tf.minimum(ids, count - 1)), -1)
    strange = tf.reduce_max(tf.where(mapped < 0, ids, -1))
    check = require(
        strange < 0,
        f"{name}: files hold ids {_ranges(files.id_table)} of the data set, received {{}}; correct "
        "the label map",
        strange,
    )
    with tf.control_dependencies([check]):
        return tf.identity(mapped)


def decode_conditions(name: str, encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Continuous maps.

    Args:
        name: of the input, for the sentences.
        encoded: string `[B]`, PNGs of one size, of 8 or 16 bits.
        channels: 1 for greyscale, 3 for RGB, 4 for RGBA.

    Returns:
        float32 `[B, H, W, channels]`, 0 to 1.
    """
    kind, said = {1: (0, "greyscale"), 3: (_RGB, "RGB"), 4: (_RGBA, "RGBA")}[channels]
    encoded = map_files(
        name,
        encoded,
        lambda depth, color: (color == kind) & ((depth == 8) | (depth == 16)),
        f"continuous maps, {said} PNGs of 8 or 16 bits",
    )

    def decode(item):
        def values(dtype):
            return tf.cast(tf.io.decode_png(item, channels, dtype), tf.float32) / dtype.max

        depth = png_header(item[None])[2][0]
        return tf.cond(depth == 16, lambda: values(tf.uint16), lambda: values(tf.uint8))

    spec = tf.TensorSpec([None, None, channels], tf.float32)
    return tf.map_fn(decode, encoded, fn_output_signature=spec)


def _decode_colors(name, encoded, files):
    encoded = map_files(
        name,
        encoded,
        lambda depth, color: (color == _PALETTE) | (depth == 8),
        "label maps in the colours of the palette of the data set, PNGs of 8 bits",
    )
    colors = np.asarray(files.colors, np.int32) @ (1 << 16, 1 << 8, 1)
    order = np.argsort(colors)
    known = tf.constant(colors[order], tf.int32)
    ids = tf.constant(np.asarray(files.color_ids)[order], tf.int32)

    def decode(item):
        pixels = tf.cast(tf.io.decode_png(item, 4), tf.int32)
        # What is not opaque has no colour. Where there is no alpha channel, the decoder makes one
        # of the largest value of the bits of the file.
        depth = png_header(item[None])[2][0]
        opaque = (pixels[..., 3] == 255) | (pixels[..., 3] == tf.bitwise.left_shift(1, depth) - 1)
        if files.off_palette_id is None:
            sentence = f"{name}: received transparent pixels, which have no colour; save it as RGB"
            with tf.control_dependencies([require(tf.reduce_all(opaque), sentence)]):
                pixels = tf.identity(pixels)
        code = tf.reduce_sum(pixels[..., :3] * [1 << 16, 1 << 8, 1], -1)
        code = tf.where(opaque, code, 1 << 24)
        flat = tf.reshape(code, [-1])
        place = tf.minimum(tf.searchsorted(known, flat), len(colors) - 1)
        found = tf.gather(known, place) == flat
        other = -1 if files.off_palette_id is None else files.off_palette_id
        made = tf.where(found, tf.gather(ids, place), other)
        strange = tf.reduce_max(tf.where(made < 0, flat, -1))
        check = require(
            strange < 0,
            f"{name}: received colour ({{}}, {{}}, {{}}), which is not in the palette of "
            "the data set; correct the label map",
            strange // 65536,
            strange // 256 % 256,
            strange % 256,
        )
        with tf.control_dependencies([check]):
            return tf.reshape(made, tf.shape(code))

    return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec([None, None], tf.int32))


def _decode_indices(name, encoded):
    encoded = map_files(
        name,
        encoded,
        lambda depth, color: (color == _PALETTE) | ((color == 0) & ((depth == 8) | (depth == 16))),
        "PNGs with a palette, or single-channel ones of 8 or 16 bits, whose values are ids",
    )

    is_palette = png_header(encoded)[3] == _PALETTE
    encoded = tf.where(is_palette, _as_greyscale(encoded), encoded)

    def decode(item):
        depth = png_header(item[None])[2][0]

        def of_eight_bits():
            values = tf.cast(tf.io.decode_png(item, 1), tf.int32)
            # The decoder stretches fewer bits over 0..255.
            return values // (255 // (tf.bitwise.left_shift(1, depth) - 1))

        return tf.cond(
            depth == 16,
            lambda: tf.cast(tf.io.decode_png(item, 1, tf.uint16), tf.int32),
            of_eight_bits,
        )[..., 0]

    return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec([None, None], tf.int32))


def _header(color):
    return b"IHDR" + bytes([0] * 8 + [0, color, 0, 0, 0])


# What makes the header of a palette PNG that of a greyscale one: another colour type, and the
# checksum of that. Checksums are linear: this difference is that of all sizes and depths.
_DIFFERENCE = np.zeros(33, np.uint8)
_DIFFERENCE[25] = _PALETTE
_DIFFERENCE[29:] = np.frombuffer(
    (zlib.crc32(_header(0)) ^ zlib.crc32(_header(_PALETTE))).to_bytes(4, "big"), np.uint8
)


def _as_greyscale(encoded):
    """Palette PNGs with their indices as values: without a palette, under another header."""
    header = tf.io.decode_raw(tf.strings.substr(encoded, 0, 33), tf.uint8, fixed_length=33)
    header = tf.bitwise.bitwise_xor(header, tf.constant(_DIFFERENCE))
    letters = tf.constant([bytes([value]) for value in range(256)])
    header = tf.strings.reduce_join(tf.gather(letters, tf.cast(header, tf.int32)), -1)
    size = tf.strings.length(encoded)
    encoded = tf.strings.join([header, tf.strings.substr(encoded, 0 * size + 33, size - 33)])
    for kind in (b"PLTE", b"tRNS"):
        encoded = _without(encoded, kind)
    return encoded


def _without(encoded, kind):
    start, length = png_chunk(encoded, kind)
    size, absent = tf.strings.length(encoded), start < 0
    # Length and kind come before the content, the checksum after it.
    before, after = tf.where(absent, 0, start - 8), tf.where(absent, 0, start + length + 4)
    return tf.strings.join(
        [
            tf.strings.substr(encoded, 0 * size, before),
            tf.strings.substr(encoded, after, size - after),
        ]
    )


def _ranges(table: tuple[int, ...]) -> str:
    """The values that a table takes, as in "0 to 34 and 255"."""
    known = np.flatnonzero(np.asarray(table) >= 0)
    starts = np.flatnonzero(np.diff(known, prepend=-2) > 1)
    parts = np.split(known, starts[1:])
    return " and ".join(f"{p[0]} to {p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
