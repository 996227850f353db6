"""EXIF orientation in the graph, against Pillow."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from spade_tf.export.orientation import exif_orientation, png_chunk, upright

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


@tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.bool)])
def orientations_of(encoded, is_png):
    return exif_orientation(encoded, is_png)


def orientation_of(encoded, is_png):
    return orientations_of([encoded], [is_png])[0]


def encode(file_format, exif=None, **options):
    buffer = io.BytesIO()
    options |= {} if exif is None else {"exif": exif}
    Image.fromarray(PIXELS).save(buffer, file_format, **options)
    return buffer.getvalue()


def exif_of(orientation, order="<"):
    exif = Image.Exif()
    exif.endian = order
    # Tags before and after it, whose values stand elsewhere.
    exif[0x010F], exif[0x0112], exif[0x0131] = "a maker of cameras", orientation, "a program"
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_all_orientations(orientation, file_format, order):
    encoded = encode(file_format, exif_of(orientation, order))
    found = orientation_of(encoded, file_format == "PNG")
    assert int(found) == orientation
    with Image.open(io.BytesIO(encoded)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
        stored = np.asarray(image)
    np.testing.assert_array_equal(upright(tf.constant(stored), found), expected)


def tiff(entries, order=b"II"):
    sign = "<" if order == b"II" else ">"
    body = b"".join(struct.pack(f"{sign}HHI4s", *entry) for entry in entries)
    return order + struct.pack(f"{sign}HIH", 42, 8, len(entries)) + body


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (tiff([(0x112, 3, 1, b"\x06\0\0\0")]), 6),
        (tiff([(0x112, 3, 1, b"\0\x06\0\0")], b"MM"), 6),
        (tiff([(0x112, 4, 1, b"\0\0\0\x06")], b"MM"), 6),
        (tiff([(0x112, 3, 1, b"\x09\0\0\0")]), 1),
        (tiff([(0x113, 3, 1, b"\x06\0\0\0")]), 1),
        # Cut off, empty, of no known order, pointing beyond its end, and counting beyond it.
        (tiff([(0x112, 3, 1, b"\x06\0\0\0")])[:-3], 1),
        (b"", 1),
        (b"XX" + tiff([(0x112, 3, 1, b"\x06\0\0\0")])[2:], 1),
        (b"II*\0" + struct.pack("<I", 1 << 31) + bytes(20), 1),
        (b"II*\0" + struct.pack("<I", 4000) + bytes(20), 1),
        (b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(12), 1),
    ],
)
def test_odd_tags(content, expected):
    segment = b"Exif\0\0" + content
    jpeg = encode("JPEG")
    marked = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
    assert int(orientation_of(marked, False)) == expected


@pytest.mark.parametrize("encoded", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe1\xff\xff", bytes(100)])
@pytest.mark.parametrize("is_png", [True, False])
def test_files_that_are_none(encoded, is_png):
    assert int(orientation_of(encoded, is_png)) == 1


def test_every_file_cut_anywhere_is_read_without_an_error():
    for file_format in ("JPEG", "PNG"):
        encoded = encode(file_format, exif_of(8))
        cut = [encoded[:end] for end in range(len(encoded) + 1)]
        found = orientations_of(cut, [file_format == "PNG"] * len(cut)).numpy()
        assert set(found) == {1, 8}
        assert found[-1] == 8


def test_chunks_are_found_wherever_they_are():
    encoded = encode("PNG", exif_of(3))
    ((start,), (length,)) = png_chunk(tf.constant([encoded]), b"IDAT")
    assert encoded[int(start) - 4 : int(start)] == b"IDAT"
    assert int(length) == int.from_bytes(encoded[int(start) - 8 : int(start) - 4], "big")
    assert png_chunk(tf.constant([encoded]), b"PLTE")[0].numpy().tolist() == [-1]
