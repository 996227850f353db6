import io
import os
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pipelines.schema import DataError
from pipelines.sources import inspection, pairing, pictures
from pipelines.sources.pictures import EncodedImage


def raises(*parts):
    """One line that holds all of the parts, in this order."""
    return pytest.raises(DataError, match=r"\A[^\n]*" + r"[^\n]*".join(map(re.escape, parts)))


def encode(array_or_image, image_format, **options):
    image = array_or_image
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def noise(*shape, high=256, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


def grey_png(ids, bit_depth):
    """Encodes a greyscale PNG from the specification alone, for depths that Pillow cannot write."""

    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    height, width = ids.shape
    bits = ((ids[..., None] >> np.arange(bit_depth - 1, -1, -1)) & 1).reshape(height, -1)
    rows = np.packbits(bits.astype(np.uint8), axis=1)
    scanlines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bit_depth, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(scanlines))
        + chunk(b"IEND", b"")
    )


OTHER = Image.new("L", (8, 6))


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("shape", [(6, 8, 3), (6, 8)])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_read_image_keeps_the_bytes(write, shape, image_format):
    encoded = encode(noise(*shape), image_format)
    assert pictures.read_image(write("a", encoded)) == EncodedImage(encoded, 6, 8)


def test_read_image_takes_an_opaque_palette(write):
    encoded = encode(Image.fromarray(noise(6, 8, 3)).quantize(16), "PNG")
    assert pictures.read_image(write("a.png", encoded)).encoded == encoded


@pytest.mark.parametrize(
    ("mode", "image_format"),
    [("RGBA", "PNG"), ("LA", "PNG"), ("CMYK", "JPEG"), ("I;16", "PNG"), ("1", "PNG")],
)
def test_read_image_refuses_other_modes(write, mode, image_format):
    path = write("a", encode(Image.new(mode, (8, 6)), image_format))
    with raises(f"{path}: photograph in mode {mode}; save it as"):
        pictures.read_image(path)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_read_image_truncated(write, image_format, kept):
    encoded = encode(noise(32, 32, 3), image_format)
    path = write("a", encoded[: int(kept * len(encoded))])
    with raises(f"{path}: truncated"):
        pictures.read_image(path)


@pytest.mark.parametrize("kept", [0.05, 0.3, 0.6, 0.95])
def test_read_ids_truncated(write, kept):
    encoded = encode(noise(32, 32), "PNG")
    path = write("a.png", encoded[: int(kept * len(encoded))])
    with raises(f"{path}: truncated"):
        pictures.read_ids(path)


def test_read_ids_corrupted(write):
    encoded = bytearray(encode(noise(32, 32), "PNG"))
    encoded[len(encoded) // 2] ^= 0xFF
    path = write("a.png", bytes(encoded))
    with raises(f"{path}: truncated or damaged"):
        pictures.read_ids(path)


@pytest.mark.parametrize("read", [pictures.read_image, pictures.read_ids])
class TestAnyFile:
    def test_empty(self, write, read):
        path = write("a.png", b"")
        with raises(f"{path}: empty file (0 bytes); replace it"):
            read(path)

    def test_missing(self, tmp_path, read):
        with raises(f"{tmp_path / 'a.png'}: cannot be read (No such file"):
            read(tmp_path / "a.png")

    def test_not_an_image(self, write, read):
        path = write("a.png", b"<html>not found</html>" * 10)
        with raises(f"{path}: truncated, or neither JPEG nor PNG"):
            read(path)

    def test_a_format_that_is_not_read(self, write, read):
        path = write("a.png", encode(noise(6, 8), "PCX"))
        with raises(f"{path}: truncated, or neither JPEG nor PNG"):
            read(path)

    def test_several_pictures_in_one_file(self, write, read):
        path = write("a.tif", encode(noise(6, 8), "TIFF", save_all=True, append_images=[OTHER]))
        with raises(f"{path}: 2 pictures in one file; save one of them"):
            read(path)

    def test_a_pipe_is_not_waited_for(self, tmp_path, read):
        os.mkfifo(tmp_path / "a.png")
        with raises(f"{tmp_path / 'a.png'}: not a regular file; remove it"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_read_ids(write, dtype):
    ids = noise(6, 8, high=np.iinfo(dtype).max + 1, dtype=dtype)
    read = pictures.read_ids(write("a.png", encode(ids, "PNG")))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, ids)


def test_read_ids_agrees_with_the_png_specification(write):
    for bit_depth in (1, 2, 4, 8, 16):
        ids = noise(5, 7, high=2**bit_depth, dtype=np.int64)
        path = write("a.png", grey_png(ids, bit_depth))
        np.testing.assert_array_equal(pictures.read_ids(path), ids)


@pytest.mark.parametrize(
    ("mode", "color", "said"),
    [
        ("RGB", (1, 2, 3), "RGB colour mask where ids are expected; pass --palette=NAME or FILE"),
        ("RGBA", (1, 1, 1, 9), "RGBA colour mask where ids are expected"),
        ("P", 1, "palette PNG (colours, mode P) where ids are expected; pass --palette=NAME or"),
        ("LA", (1, 9), "LA colour mask where ids are expected"),
    ],
)
def test_read_ids_refuses_other_modes(write, mode, color, said):
    path = write("a.png", encode(Image.new(mode, (8, 6), color), "PNG"))
    with raises(f"{path}: {said}"):
        pictures.read_ids(path)
    write("labelmap.txt", b"")
    with raises(f"{path}: ", f"--palette={path.parent / 'labelmap.txt'}"):
        pictures.read_ids(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_read_ids_takes_opaque_channels_that_are_all_the_same(write, mode):
    ids = noise(6, 8)
    path = write("a.png", encode(Image.fromarray(ids).convert(mode), "PNG"))
    np.testing.assert_array_equal(pictures.read_ids(path), ids)


@pytest.mark.parametrize("image_format", ["BMP", "TIFF", "PPM", "TGA"])
def test_read_ids_takes_other_lossless_formats(write, image_format):
    ids = noise(6, 8)
    path = write("a", encode(ids, image_format))
    np.testing.assert_array_equal(pictures.read_ids(path, palette_indices=True), ids)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_read_ids_of_32_bits(write, dtype):
    ids = noise(6, 8, high=65536, dtype=dtype)
    np.testing.assert_array_equal(pictures.read_ids(write("a.tif", encode(ids, "TIFF"))), ids)
    for bad in (-1, 65536) if dtype is np.int32 else (0.5, np.nan):
        ids[0, 0] = bad
        path = write("a.tif", encode(ids, "TIFF"))
        with raises(f"{path}: value {bad:g} where ids are expected, 0 to 65535; save it as"):
            pictures.read_ids(path)


def array(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float64])
def test_read_ids_takes_arrays(write, dtype):
    ids = noise(6, 8, high=2, dtype=dtype)
    np.testing.assert_array_equal(pictures.read_ids(write("a.npy", array(ids))), ids)
    np.testing.assert_array_equal(pictures.read_ids(write("a.npy", array(ids[..., None]))), ids)


def test_read_ids_refuses_other_arrays(write):
    for values in (noise(6, 8, 3), np.array(["a"]), np.zeros((0, 4), np.uint8)):
        path = write("a.npy", array(values))
        with raises(f"{path}: array of {values.dtype}, shape {values.shape}, where ids [H, W]"):
            pictures.read_ids(path)
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}]), allow_pickle=True)
    with raises("truncated or damaged", "allow_pickle"):
        pictures.read_ids(write("a.npy", pickled.getvalue()))
    with raises("no NumPy array, though its name ends in .npy", "save it with numpy.save"):
        pictures.read_ids(write("a.npy", b"no array"))


def test_read_instances_takes_colours(write):
    # COCO's panoptic maps: id = red + 256 green + 65536 blue.
    ids = np.array([[0, 1, 256], [65536, 1, 16777215]])
    colors = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
    read = pictures.read_instances(write("a.png", encode(colors, "PNG")))
    np.testing.assert_array_equal(read, [[0, 1, 2], [3, 1, 4]])
    assert read.dtype == np.uint16


def test_read_instances_keeps_ids_and_numbers_larger_ones(write):
    for ids in (noise(6, 8), noise(6, 8, high=65536, dtype=np.uint16)):
        path = write("a.png", encode(ids, "PNG"))
        np.testing.assert_array_equal(pictures.read_instances(path), ids)
    large = np.array([[7, 100_000], [-5, 7]], np.int32)
    path = write("a.tif", encode(large, "TIFF"))
    np.testing.assert_array_equal(pictures.read_instances(path), [[1, 2], [0, 1]])
    palette = Image.new("P", (2, 1))
    palette.putpalette([value % 256 for value in range(768)])
    palette.putdata([3, 9])
    path = write("a.png", encode(palette, "PNG"))
    np.testing.assert_array_equal(pictures.read_instances(path), [[3, 9]])


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 3)])
def test_read_ids_refuses_jpeg_under_a_png_name(write, shape):
    path = write("a.png", encode(noise(*shape), "JPEG"))
    with raises(f"{path}: JPEG mask"):
        pictures.read_ids(path)


@pytest.mark.parametrize(("num_ids", "mode"), [(256, "L"), (257, "I;16")])
def test_encode_ids(num_ids, mode):
    ids = noise(6, 8, high=num_ids, dtype=np.uint16)
    image = Image.open(io.BytesIO(inspection.encode_ids(ids, num_ids)))
    assert image.mode == mode
    np.testing.assert_array_equal(np.asarray(image), ids)


def test_check_same_size(tmp_path):
    image = EncodedImage(b"", 6, 8)
    inspection.check_same_size((6, 8), tmp_path / "l.png", image, tmp_path / "i.jpg")
    with raises(f"{tmp_path / 'l.png'}: 6x8 pixels", f"{tmp_path / 'i.jpg'} has 8x6; scale"):
        inspection.check_same_size((8, 6), tmp_path / "l.png", image, tmp_path / "i.jpg")


@pytest.mark.parametrize(
    ("num_classes", "unknown"), [(3, 255), (255, 255), (256, 65535), (300, 65535)]
)
def test_remap_label(tmp_path, num_classes, unknown):
    ids = np.array([[0, num_classes - 1, unknown]], np.uint16)
    label = inspection.remap_label(ids, tmp_path / "a.png", num_classes, has_unknown=True)
    assert label.dtype == np.uint16
    np.testing.assert_array_equal(label, [[0, num_classes - 1, num_classes]])


def test_remap_label_refuses_ids_outside_the_classes(tmp_path):
    path = tmp_path / "a.png"
    ids = np.array([[0, 2, 3, 3, 4, 5, 6, 255]], np.uint16)
    with raises(
        f"{path}: label ids 3, 4, 5 and 1 more in 5 pixels are outside the classes "
        "(0..2 and 255 for unknown); correct the file, or, if they are classes, name 7 in "
        "classes.txt, or pass --num_classes=7"
    ):
        inspection.remap_label(ids, path, num_classes=3, has_unknown=True)


def test_remap_label_refuses_unknown_where_there_is_none(tmp_path):
    path = tmp_path / "a.png"
    with raises(f"{path}: label ids 255 in 2 pixels", "(0..2); ", "no pixels of unknown class"):
        inspection.remap_label(np.array([[255, 255, 0]], np.uint16), path, 3, has_unknown=False)


def test_largest_label_id(write):
    def pairs(*label_maps):
        return [
            pairing.Pair(str(i), None, write(f"{i}.png", encode(ids, "PNG")), None)
            for i, ids in enumerate(label_maps)
        ]

    unknown = np.full((2, 2), 255, np.uint8)
    assert inspection.largest_label_id(pairs(unknown)) == (-1, 1)
    many = pairs(np.array([[0, 5]], np.uint8), np.array([[3, 255]], np.uint8), unknown)
    assert inspection.largest_label_id(many) == (5, 3)
    assert inspection.largest_label_id(many[1:], max_files=1) == (3, 1)
    assert inspection.largest_label_id(pairs(np.array([[300, 1]], np.uint16))) == (300, 1)


def test_read_class_names(write):
    assert inspection.read_class_names(write("c.txt", b"sky\r\n tall grass \n\n")) == (
        "sky",
        "tall grass",
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_read_class_names_in_any_unicode(write, encoding, end):
    path = write("c.txt", f"sky{end}Hütte{end}".encode(encoding))
    assert inspection.read_class_names(path) == ("sky", "Hütte")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n \n", "no class names in it"),
        (b"sky\n\ngrass\n", "line 2 is empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("h\xfctte".encode("latin-1"), "not UTF-8 text; save it as UTF-8, as with: iconv"),
        ("sky\nsea".encode("utf-16-le"), "not UTF-8"),
    ],
)
def test_read_class_names_refuses(write, content, said):
    path = write("c.txt", content)
    with raises(f"{path}: {said}"):
        inspection.read_class_names(path)
