import re

import numpy as np
import pytest
import tensorflow as tf
from served_networks import SIZE, Z_DIM, layouts

from spade_tf.training.pictures import encode_png

LABEL = layouts()
PNG = encode_png(LABEL[0].astype(np.uint8))
PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
# A header that says 30,000 pixels each way.
BOMB = PNG[:16] + (30_000).to_bytes(4, "big") * 2 + PNG[24:]
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
        ([BOMB], [b""], "30000x30000 pixels, and 16777216 are decoded at most"),
        ([encode_png(PHOTOGRAPH)], [b""], "PNG of colours, of a palette, or of fewer than 8 bits"),
        ([BAD_DEPTH], [b""], "fewer than 8 bits"),
        ([PNG, encode_png(LABEL[0, :32].astype(np.uint8))], [b"", b""], "maps of several sizes"),
        ([PNG, PNG], [b""], "instance_bytes: must have one row for each of the 2"),
        ([encode_png(LABEL[0].astype(np.uint8) + 9)], [b""], "label: ids 0 to 4"),
        ([encode_png(LABEL[0, :32].astype(np.uint8))], [b""], "received 32x64"),
    ],
)
def test_files_that_cannot_be_used(signatures, label, instance, text):
    inputs = {"label_bytes": label, "instance_bytes": instance, "seed": np.zeros(len(label), int)}
    assert text in sentence(signatures["generate_bytes"], inputs)


def test_a_truncated_file(signatures):
    inputs = {"label_bytes": [PNG[:-30]], "instance_bytes": [b""], "seed": np.array([0])}
    assert "Invalid PNG data" in refusal(signatures["generate_bytes"], inputs)


@pytest.mark.parametrize(
    ("encoded", "text"),
    [(b"GIF89a" * 10, "neither a JPEG nor a PNG"), (BOMB, "30000x30000 pixels")],
)
def test_photographs_that_cannot_be_used(signatures, encoded, text):
    assert text in sentence(signatures["encode_style"], {"image_bytes": [encoded]})


def test_an_asset_that_there_is_none_of(signatures):
    text = sentence(signatures["describe"], {"name": ["secrets.txt"]})
    assert text == "name: received one that is none of config.json, model_card.md"
