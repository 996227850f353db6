import io
import re
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from served_networks import SIZE, Z_DIM, layouts

from spade_tf.export.signatures import ServedModel
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator
from spade_tf.training.pictures import encode_png

LABEL = layouts()
PNG = encode_png(LABEL[0].astype(np.uint8))
PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
# A header that says 30,000 pixels each way.
BOMB = PNG[:16] + (30_000).to_bytes(4, "big") * 2 + PNG[24:]
# Their product is -2^33 + 1 in 64 bits.
OVERFLOWING = PNG[:16] + b"\xff" * 8 + PNG[24:]
BAD_DEPTH = PNG[:24] + b"\x04" + PNG[25:]


def refusal(signature, inputs):
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        signature(**inputs)
    return str(caught.value)


def sentence(signature, inputs):
    found = re.search(r"assertion failed: \[(.*)\]\n", refusal(signature, inputs))
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"label": LABEL + 5}, "label: ids 0 to 4, and 255 for unknown, are allowed, received 9"),
        ({"label": LABEL - 1}, "received -1; correct the label map"),
        ({"label": LABEL[:, :32]}, "pictures of 64x64 (height x width) only, received 32x64"),
        (
            {"label": LABEL[:0], "seed": np.zeros([0], np.int64)},
            "label: received a batch of no label map",
        ),
        ({"instance": LABEL[:1]}, "of the shape of label, [2 64 64], or [B, 1, 1] for none"),
        ({"instance": LABEL[:, :1]}, "instance: must be"),
        ({"seed": np.array([1], np.int64)}, "seed: must have one row for each of the 2"),
    ],
)
def test_ids_that_cannot_be_used(signatures, changes, text):
    inputs = {"label": LABEL, "instance": LABEL, "seed": np.array([1, 2], np.int64)}
    assert text in sentence(signatures["serving_default"], inputs | changes)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["generate_with_style", "generate_styles"])
def test_styles_that_are_no_numbers(signatures, name, value):
    z = np.zeros([2, Z_DIM], np.float32)
    z[1, 2] = value
    z = z[:, None] if name == "generate_styles" else z
    inputs = {"label": LABEL, "instance": LABEL, "z": z}
    assert "z: received NaN or infinity" in sentence(signatures[name], inputs)


@pytest.mark.parametrize("value", [1e38, -1e38, 1001.0])
@pytest.mark.parametrize("name", ["generate", "generate_with_style", "generate_styles"])
def test_styles_that_none_is_drawn_as(signatures, name, value):
    z = np.zeros([2, Z_DIM], np.float32)
    z[1, 2] = value
    z = z[:, None] if name == "generate_styles" else z
    said = sentence(signatures[name], {"label": LABEL, "instance": LABEL, "z": z})
    assert said.startswith(f"z: received a number as large as {abs(np.float32(value)):g}"[:44])
    assert "1000 is allowed at most" in said


def test_the_largest_styles_make_pictures(signatures):
    z = np.full([2, Z_DIM], 1000.0, np.float32)
    z[1, ::2] *= -1
    inputs = {"label": LABEL, "instance": LABEL, "z": z}
    image = signatures["generate"](**{k: tf.constant(v) for k, v in inputs.items()})["image"]
    assert np.isfinite(image).all()


def test_more_styles_than_the_export_makes(signatures):
    # One picture more than allowed: 4,096 pixels each, 1,048,576 in all.
    z = np.zeros([1, 257, Z_DIM], np.float32)
    inputs = {"label": LABEL[:1], "instance": LABEL[:1], "z": z}
    said = sentence(signatures["generate_styles"], inputs)
    assert "which are 256 styles at this size, received 257" in said


def test_no_style_at_all(signatures):
    z = np.zeros([2, 0, Z_DIM], np.float32)
    inputs = {"label": LABEL, "instance": LABEL, "z": z}
    assert "z: received no style" in sentence(signatures["generate_styles"], inputs)


@pytest.mark.parametrize(
    ("label", "instance", "text"),
    [
        ([b""], [b""], "label_bytes: received what is not a PNG file"),
        ([b"GIF89a" * 10], [b""], "label_bytes: received what is not a PNG file"),
        ([PNG], [b"no"], "instance_bytes: received what is not a PNG file"),
        ([BOMB], [b""], "30000x30000 pixels, and 1 to 16777216 are decoded"),
        ([OVERFLOWING], [b""], "4294967295x4294967295 pixels"),
        ([PNG[:16] + bytes(8) + PNG[24:]], [b""], "0x0 pixels"),
        (
            [encode_png(PHOTOGRAPH)],
            [b""],
            "label_bytes: received a PNG of another kind, by its colours or bits; give single",
        ),
        ([BAD_DEPTH], [b""], "label_bytes: received a PNG of another kind"),
        ([PNG, encode_png(LABEL[0, :32].astype(np.uint8))], [b"", b""], "maps of several sizes"),
        ([PNG, PNG], [b""], "instance_bytes: must have one row for each of the 2"),
        ([encode_png(LABEL[0].astype(np.uint8) + 9)], [b""], "label: ids 0 to 4"),
        ([encode_png(LABEL[0, :32].astype(np.uint8))], [b""], "received 32x64"),
    ],
)
def test_files_that_cannot_be_used(signatures, label, instance, text):
    inputs = {"label_bytes": label, "instance_bytes": instance, "seed": np.zeros(len(label), int)}
    assert text in sentence(signatures["generate_bytes"], inputs)


@pytest.mark.parametrize("name", ["generate_bytes", "generate_png_bytes"])
def test_a_size_that_the_model_does_not_make_comes_before_what_files_hold(signatures, name):
    wide = encode_png(np.zeros([SIZE, 1 << 16], np.uint8))
    inputs = {"label_bytes": [wide], "instance_bytes": [b""], "seed": np.array([0])}
    said = sentence(signatures[name], inputs)
    assert "pictures of 64x64 (height x width) only, received 64x65536" in said


def test_a_truncated_file(signatures):
    inputs = {"label_bytes": [PNG[:-30]], "instance_bytes": [b""], "seed": np.array([0])}
    assert "Invalid PNG data" in refusal(signatures["generate_bytes"], inputs)


@pytest.mark.parametrize(
    ("encoded", "text"),
    [(b"GIF89a" * 10, "neither a JPEG nor a PNG"), (BOMB, "30000x30000 pixels")],
)
def test_photographs_that_cannot_be_used(signatures, encoded, text):
    assert text in sentence(signatures["encode_style"], {"image_bytes": [encoded]})


def png(mode, size=(SIZE, SIZE), **options):
    buffer = io.BytesIO()
    image = Image.fromarray(PHOTOGRAPH).convert(mode).resize(size)
    image.save(buffer, options.pop("format", "PNG"), **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "LA", "1"])
def test_label_maps_whose_values_are_no_ids(signatures, mode):
    inputs = {"label_bytes": [png(mode)], "instance_bytes": [b""], "seed": np.array([0])}
    assert "received a PNG of another kind" in sentence(signatures["generate_bytes"], inputs)


def test_label_maps_of_one_channel_keep_their_ids(signatures):
    """A transparent value, a second frame, interlacing: none of them changes what is read."""
    frames = [Image.fromarray(ids.astype(np.uint8)) for ids in LABEL]
    kinds = {"plain": {}, "transparent": {"transparency": 3}}
    kinds["animated"] = {"save_all": True, "append_images": frames[1:]}
    made = {}
    for kind, options in kinds.items():
        buffer = io.BytesIO()
        frames[0].save(buffer, "PNG", **options)
        inputs = {"label_bytes": [buffer.getvalue()], "instance_bytes": [b""], "seed": [0]}
        inputs = {key: tf.constant(value) for key, value in inputs.items()}
        inputs["seed"] = tf.cast(inputs["seed"], tf.int64)
        made[kind] = signatures["generate_png_bytes"](**inputs)["image_bytes"].numpy()[0]
    assert set(made.values()) == {made["plain"]}


@pytest.mark.parametrize(
    "encoded",
    [
        png("CMYK", format="JPEG"),
        png("L", format="JPEG"),
        png("RGB", format="JPEG", progressive=True),
        png("P"),
        png("RGBA"),
        png("LA"),
        png("1"),
        png("RGB", size=(1, 1)),
        png("RGB", save_all=True, append_images=[Image.fromarray(PHOTOGRAPH[::-1].copy())]),
    ],
)
def test_every_photograph_has_a_style(signatures, encoded):
    z = signatures["encode_style"](image_bytes=tf.constant([encoded]))["z"]
    assert z.shape == (1, Z_DIM)
    assert np.isfinite(z).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("kept", [0.01, 0.2, 0.9])
def test_truncated_photographs(signatures, kind, kept):
    encoded = png("RGB", format=kind)
    text = refusal(
        signatures["encode_style"], {"image_bytes": [encoded[: int(kept * len(encoded))]]}
    )
    assert re.search(r"neither a JPEG nor a PNG|Invalid (JPEG|PNG)|jpeg::Uncompress", text)


def test_a_header_that_lies(signatures):
    """Of a checksum that is right: the decoder must refuse it."""
    encoded = PNG[:16] + struct.pack(">II", SIZE, SIZE + 1) + PNG[24:]
    encoded = encoded[:29] + struct.pack(">I", zlib.crc32(encoded[12:29])) + encoded[33:]
    inputs = {"label_bytes": [encoded], "instance_bytes": [b""], "seed": np.array([0])}
    assert "Invalid PNG" in refusal(signatures["generate_bytes"], inputs)


def test_requests_of_nothing(signatures):
    none = np.zeros([0], np.str_)
    assert "no file" in sentence(signatures["encode_style"], {"image_bytes": none})
    assert "no name" in sentence(signatures["describe"], {"name": none})
    inputs = {"label_bytes": none, "instance_bytes": none, "seed": np.zeros([0], np.int64)}
    assert "no file" in sentence(signatures["generate_bytes"], inputs)
    for shape in ((2, 0, 64), (2, 64, 0), (2, 0, 0)):
        inputs = {"label": LABEL, "instance": np.zeros(shape, np.int32), "seed": [0, 0]}
        inputs["seed"] = np.array(inputs["seed"], np.int64)
        assert "instance: must be" in sentence(signatures["serving_default"], inputs)
        inputs["label"] = inputs["instance"]
        assert "pictures of 64x64" in sentence(signatures["serving_default"], inputs)


@pytest.mark.parametrize("seed", [np.iinfo(np.int64).min, -1, np.iinfo(np.int64).max])
def test_every_seed_is_a_style(signatures, seed):
    ids = {"label": tf.constant(LABEL[:1]), "instance": tf.constant(LABEL[:1])}
    image = signatures["serving_default"](**ids, seed=tf.constant([seed], tf.int64))["image"]
    assert image.numpy().std() > 1


@pytest.fixture(scope="module")
def any_size_model():
    """A model of pictures of any size, up to 2,097,152 pixels, and its signatures."""
    # The quickest to trace.
    network = Pix2PixHDGenerator(
        5, (SIZE, SIZE), filters=2, num_downsamplings=5, num_blocks=0, block_kernel_size=1
    )
    model = ServedModel(network, None, None, {}, max_pixels=1 << 21)
    return model, model.signatures()


@pytest.fixture
def any_size(any_size_model):
    return any_size_model[1]


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((64, 1 << 16), "pictures of 2097152 pixels at most, received 64x65536"),
        ((0, 64), "multiples of 32"),
        ((64, 0), "multiples of 32"),
        ((16, 64), "multiples of 32"),
    ],
)
def test_sizes_that_are_not_made(any_size, shape, text):
    assert text in sentence(any_size["serving_default"], {"label": np.zeros([1, *shape], np.int32)})


def test_sides_that_files_cannot_have(any_size):
    inputs = {"label_bytes": [encode_png(np.zeros([32, 1 << 16], np.uint8))]}
    said = sentence(any_size["generate_bytes"], inputs)
    assert "JPEG files have 65500 pixels of height and of width at most, received 32x65536" in said
    assert "generate_png_bytes" in said


def test_a_picture_of_no_numbers(any_size_model):
    """A network whose weights are NaN."""
    model, signatures = any_size_model
    bias = model.generator.conv_img.bias
    before = bias.numpy()
    bias.assign([np.nan, 0, 0])
    for name in ("serving_default", "generate"):
        said = sentence(signatures[name], {"label": LABEL[:1]})
        assert said.startswith("image: the model makes NaN or infinity of these inputs")
    bias.assign(before)


def test_an_asset_that_there_is_none_of(signatures):
    text = sentence(signatures["describe"], {"name": ["secrets.txt"]})
    assert text == "name: received one that is none of config.json, model_card.md"
