"""The graph decodes a data set's files like Pillow and the table of ids."""

import io
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from spade_tf.export.decoding import decode_photographs
from spade_tf.export.source_files import SourceFiles, decode_conditions, decode_labels

RANDOM = np.random.default_rng(0)


def png(pixels, mode=None, **options):
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels, mode)
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def indexed(indices, **options):
    image = Image.fromarray(indices)
    image = image.convert("P") if image.mode != "P" else image
    image.putdata(indices.ravel().tolist())
    # Two indices of one colour: what is inverted from colours would not tell them apart.
    palette = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    palette[2] = palette[1]
    image.putpalette(palette.tobytes())
    return png(image, **options), palette


@cache
def decoder(files):
    spec = tf.TensorSpec([None], tf.string)
    return tf.function(
        lambda x: decode_labels("label_bytes", x, files), autograph=False, input_signature=[spec]
    )


def decoded(files, *encoded):
    return decoder(files)(tf.constant(encoded)).numpy()


def refusal(files, *encoded):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        decoded(files, *encoded)
    return str(caught.value)


ADE20K = SourceFiles(id_table=(150, *range(150)))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_table(kind):
    ids = RANDOM.integers(0, 151, (6, 9)).astype(kind)
    expected = np.where(ids == 0, 150, ids.astype(int) - 1)
    np.testing.assert_array_equal(decoded(ADE20K, png(ids), png(ids)), [expected, expected])
    ids[0, 0] = 151
    assert "label_bytes: files hold ids 0 to 150 of the data set, received 151" in refusal(
        ADE20K, png(ids)
    )


def test_ids_that_may_not_be_there():
    files = SourceFiles(id_table=(*range(34), 34, *[-1] * 220, 34))
    ids = np.array([[0, 33, 34, 255]], np.uint8)
    assert decoded(files, png(ids)).tolist() == [[[0, 33, 34, 34]]]
    said = refusal(files, png(np.array([[35]], np.uint8)))
    assert "files hold ids 0 to 34 and 255 of the data set, received 35" in said


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
@pytest.mark.parametrize("transparency", [None, bytes([0, 128])])
def test_palette_indices(bits, transparency):
    files = SourceFiles(id_table=(-1, *range(255)), palette_indices=True)
    indices = RANDOM.integers(1, 1 << bits, (13, 11)).astype(np.uint8)
    options = {} if transparency is None else {"transparency": transparency}
    encoded, _ = indexed(indices, bits=bits, **options)
    assert encoded[24:26] == bytes([bits, 3])
    np.testing.assert_array_equal(decoded(files, encoded)[0], indices.astype(int) - 1)
    # Single-channel files hold the same values, beside palettes or not.
    both = decoded(files, png(indices), encoded)
    np.testing.assert_array_equal(both[0], both[1])
    assert "received 0" in refusal(files, png(indices * 0))
    assert "received a PNG of another kind" in refusal(files, png(np.zeros([2, 2, 3], np.uint8)))


COLORS = ((10, 20, 30), (200, 0, 0), (0, 0, 7), (9, 9, 9))
PALETTE = SourceFiles(colors=COLORS, color_ids=(0, 1, 2, 1))


def test_colours():
    chosen = RANDOM.integers(0, 4, (8, 5))
    expected = np.array([0, 1, 2, 1])[chosen]
    colors = np.array(COLORS, np.uint8)[chosen]
    opaque = np.concatenate([colors, np.full([8, 5, 1], 255, np.uint8)], -1)
    palette = Image.fromarray(colors).quantize(4)
    for encoded in (png(colors), png(opaque), png(palette), png(palette, bits=2)):
        np.testing.assert_array_equal(decoded(PALETTE, encoded)[0], expected)
    opaque[0, 0, 3] = 254
    assert "received transparent pixels" in refusal(PALETTE, png(opaque))
    unknown = expected.copy()
    unknown[0, 0] = 3
    other = PALETTE._replace(off_palette_id=3)
    np.testing.assert_array_equal(decoded(other, png(opaque))[0], unknown)
    colors[3, 3] = (1, 2, 3)
    said = "label_bytes: received colour (1, 2, 3), which is not in the palette of the data set"
    assert said in refusal(PALETTE, png(colors))
    expected[3, 3] = 3
    np.testing.assert_array_equal(decoded(other, png(colors))[0], expected)
    # (9, 9, 9) is a grey.
    assert decoded(PALETTE, png(np.full([2, 2], 9, np.uint8))).tolist() == [[[1, 1], [1, 1]]]
    sixteen = png(chosen.astype(np.uint16))
    assert "received a PNG of another kind" in refusal(PALETTE, sixteen)


def test_maps_that_are_stored_turned_are_refused():
    exif = Image.Exif()
    exif[0x0112] = 6
    ids = np.zeros([4, 4], np.uint8)
    said = refusal(SourceFiles(), png(ids), png(ids, exif=exif))
    assert "stored turned or mirrored (EXIF orientation 6)" in said


@pytest.mark.parametrize(
    ("kind", "channels"), [(np.uint8, 1), (np.uint16, 1), (np.uint8, 3), (np.uint8, 4)]
)
def test_continuous_maps(kind, channels):
    shape = (6, 4) if channels == 1 else (6, 4, channels)
    values = RANDOM.integers(0, np.iinfo(kind).max, shape).astype(kind)
    made = decode_conditions("condition_bytes", tf.constant([png(values)]), channels)
    expected = values.reshape(6, 4, channels) / np.iinfo(kind).max
    # One rounding to float32.
    np.testing.assert_allclose(made[0], expected, rtol=1e-6, atol=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="give continuous maps, "):
        decode_conditions("condition_bytes", tf.constant([png(values)]), 3 if channels != 3 else 1)


def photograph(height, width):
    """Smooth, as photographs are: a scaled one has no more than rounding to disagree about."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows / 9 + k) * np.cos(columns / 7 - k) for k in range(3)]
    return np.uint8(np.clip(127 + 90 * np.stack(waves, -1), 0, 255))


def test_photographs_get_their_size_as_in_training():
    pixels = photograph(96, 160)
    image = Image.fromarray(pixels)
    cases = {
        "stretch": image.resize((64, 32), Image.Resampling.BICUBIC),
        # 64 columns cover, as 38 rows: the middle 32 of them.
        "cover": image.resize((64, 38), Image.Resampling.BICUBIC).crop((0, 3, 64, 35)),
        "crop": image.crop((48, 32, 112, 64)),
    }
    for shape, expected in cases.items():
        made = decode_photographs("image_bytes", tf.constant([png(pixels)]), (32, 64), shape)
        # Pillow rounds to levels after each of two passes.
        assert np.abs((made[0].numpy() + 1) * 127.5 - np.asarray(expected)).max() <= 1.01, shape
    with pytest.raises(tf.errors.InvalidArgumentError, match="crops of 32x64 of photographs"):
        decode_photographs("image_bytes", tf.constant([png(pixels[:20])]), (32, 64), "crop")


@pytest.mark.parametrize("orientation", [3, 6])
def test_photographs_are_read_upright(orientation):
    pixels = photograph(32, 64)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = tf.constant([png(pixels, exif=exif)])
    seen = pixels.swapaxes(0, 1) if orientation > 4 else pixels
    seen = seen[:, ::-1] if orientation in (2, 3, 6, 7) else seen
    seen = seen[::-1] if orientation in (3, 4, 7, 8) else seen
    made = decode_photographs("image_bytes", stored, seen.shape[:2])
    np.testing.assert_allclose((made[0] + 1) * 127.5, seen, atol=1e-3)
