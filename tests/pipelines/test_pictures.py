"""Pictures are read upright, by the EXIF orientation that every viewer follows."""

import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import ExifTags, Image

from pipelines.doctor.doctor import diagnose
from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import open_dataset
from pipelines.schema import DataError
from pipelines.sources import inspection, pictures

# How the stored pixels become what is seen, from the definition of each value (EXIF 2.32,
# tag 0x0112: where row 0 and column 0 of the file are in the visual picture).
SEEN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.swapaxes(a, 0, 1)[:, ::-1],
    7: lambda a: np.swapaxes(a, 0, 1)[::-1, ::-1],
    8: lambda a: np.swapaxes(a, 0, 1)[::-1],
}


def tagged(array, image_format, orientation, **options):
    image = Image.fromarray(array)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    image.save(buffer, image_format, exif=exif, **options)
    return buffer.getvalue()


def blocks(height, width, *channels):
    """A picture of large blocks, which JPEG keeps."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (height // 16, width // 16, *channels)).astype(np.uint8)
    return small.repeat(16, 0).repeat(16, 1)


@pytest.mark.parametrize("orientation", SEEN)
def test_a_png_photograph_is_read_upright(tmp_path, orientation):
    stored = blocks(32, 48, 3)
    path = tmp_path / "a.png"
    path.write_bytes(tagged(stored, "PNG", orientation))
    image = pictures.read_image(path)
    seen = SEEN[orientation](stored)
    assert (image.height, image.width, image.orientation) == (*seen.shape[:2], orientation)
    np.testing.assert_array_equal(inspection.decode_image(image.encoded), seen)
    # What training and the export decode with applies no tag: there must be none left to apply.
    np.testing.assert_array_equal(tf.io.decode_image(image.encoded, channels=3), seen)
    if orientation == 1:
        assert image.encoded == path.read_bytes()


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_jpeg_photograph_is_read_upright_and_stays_a_jpeg(tmp_path, orientation):
    stored = blocks(32, 48, 3)
    path = tmp_path / "a.jpg"
    path.write_bytes(tagged(stored, "JPEG", orientation, quality=95, subsampling=0))
    image = pictures.read_image(path)
    assert image.encoded.startswith(b"\xff\xd8")
    decoded = tf.io.decode_jpeg(image.encoded).numpy().astype(int)
    # Two compressions at quality 95 of blocks that are whole JPEG blocks: quantisation steps there
    # are at most 2 of 255 at low frequencies, hence 6 with the change of colour space.
    assert np.abs(decoded - SEEN[orientation](stored)).max() <= 6


@pytest.mark.parametrize("orientation", [2, 6])
def test_maps_are_read_upright(tmp_path, orientation):
    stored = blocks(32, 48)
    path = tmp_path / "a.png"
    path.write_bytes(tagged(stored, "PNG", orientation))
    np.testing.assert_array_equal(pictures.read_ids(path), SEEN[orientation](stored))
    encoded, shape, bits = pictures.read_condition(path)
    assert (shape[:2], bits) == (SEEN[orientation](stored).shape, 8)
    np.testing.assert_array_equal(tf.io.decode_png(encoded)[..., 0], SEEN[orientation](stored))


def test_a_tag_that_cannot_be_read_is_none(tmp_path):
    encoded = tagged(blocks(32, 48, 3), "JPEG", 6)
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded.replace(b"Exif\0\0", b"Exif\0\0\xff\xff\xff", 1))
    assert pictures.read_image(path).orientation == 1
    path.write_bytes(tagged(blocks(32, 48, 3), "JPEG", 9))
    assert pictures.read_image(path).orientation == 1


@pytest.fixture
def sideways(tmp_path):
    """Photographs that are stored a quarter turn off, and maps drawn over what is seen."""

    def make(size):
        for index in range(2):
            label = np.zeros(size, np.uint8)
            label[: size[0] // 2] = 1
            photograph = np.where(
                label[..., None] > 0, np.uint8([250, 0, 0]), np.uint8([0, 0, 250])
            )
            for kind in ("img", "label"):
                (tmp_path / f"train_{kind}").mkdir(exist_ok=True)
            Image.fromarray(label).save(tmp_path / "train_label" / f"{index}.png")
            # Turned to the left as they are stored; orientation 6 turns them back to the right.
            stored = np.rot90(photograph)
            (tmp_path / "train_img" / f"{index}.jpg").write_bytes(tagged(stored, "JPEG", 6))
        return tmp_path

    return make


@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
def test_maps_drawn_over_what_is_seen_lie_over_what_is_stored(sideways, tmp_path, size):
    source = sideways(size)
    prepare("paired_folder", source_dir=source, data_dir=tmp_path / "data", num_classes=2)
    for record in open_dataset("paired_folder", tmp_path / "data").as_dataset(split="train"):
        red, label = record["image"].numpy()[..., 0], record["label"].numpy()[..., 0]
        assert label.shape == size
        # Apart from the border, where JPEG blends.
        assert ((red > 125) == (label == 1)).mean() > 0.95


def test_the_doctor_counts_orientations(sideways):
    source = sideways((64, 64))
    diagnosis = diagnose("paired_folder", source, num_classes=2)
    assert diagnosis.exit_status == 0
    (finding,) = diagnosis.findings
    assert (finding.severity, finding.kind, finding.num) == ("warning", "EXIF orientation", 2)
    assert "2 of 2 photographs" in finding.message
    assert "2 have 6" in finding.message


def test_maps_drawn_over_what_is_stored_are_told_from_other_sizes(sideways, tmp_path):
    source = sideways((64, 96))
    Image.fromarray(np.zeros((96, 64), np.uint8)).save(source / "train_label" / "1.png")
    said = r"64x96 pixels.*has 96x64 when read upright, as its EXIF orientation 6 says; turn.*"
    with pytest.raises(DataError, match=said + re.escape("exiftool -Orientation=")):
        prepare("paired_folder", source_dir=source, data_dir=tmp_path / "data", num_classes=2)
