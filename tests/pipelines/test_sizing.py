"""One rule for sizes; the values are worked out by hand from the table."""

import numpy as np
import pytest
import tensorflow as tf

from pipelines.reading.sizing import PREPROCESS, evaluation_sizing
from pipelines.schema import DataError


def sized(example, preprocess, load_size, crop_size, **options):
    sizes = {"load_size": load_size, "crop_size": crop_size}
    for operation in evaluation_sizing(preprocess=preprocess, **sizes, **options):
        example = operation(example)
    return example


@pytest.mark.parametrize(
    ("preprocess", "expected"),
    [
        ("resize_and_crop", (64, 64)),
        ("crop", (64, 64)),
        # 72 columns are nearest to 64 (72 + 16 < 96), and 72 * 96 // 288 = 24 rows to 32.
        ("scale_width", (32, 64)),
        ("scale_width_and_crop", (64, 64)),
        # 72 rows are nearest to 64, and 3 * 72 = 216 columns to 224.
        ("scale_short_side", (64, 224)),
        ("scale_short_side_and_crop", (64, 64)),
        ("fixed", (64, 64)),
        ("none", (96, 288)),
    ],
)
def test_a_label_map_alone_of_three_to_one(preprocess, expected):
    label = tf.zeros([96, 288], tf.uint16)
    made = sized({"label": label}, preprocess, 72, 64, multiple=32)
    assert tuple(made["label"].shape) == expected
    # A network that makes one size is never given another.
    made = sized({"label": label}, preprocess, 72, 64, multiple=32, one_size=True)
    assert tuple(made["label"].shape) == (64, 64)


def test_a_crop_is_not_squeezed_and_lies_in_the_middle():
    # Columns 0..287 hold their own number: the middle third is 96..191, every 1.5th of them,
    # where the middles of new columns lie.
    columns = np.broadcast_to(np.arange(288, dtype=np.uint16), (96, 288))
    made = sized({"label": tf.constant(columns)}, "scale_short_side_and_crop", 72, 64)
    assert made["label"].numpy()[0].tolist() == [96 + 3 * (2 * i + 1) // 4 for i in range(64)]


def test_wide_crops_keep_what_fits():
    # 256 rows of 512 columns cover a picture of 1024 x 2048 exactly.
    label = tf.zeros([1024, 2048], tf.uint16)
    options = ("scale_short_side_and_crop", (286, 572), (256, 512))
    assert sized({"label": label}, *options)["label"].shape == (256, 512)
    ids = np.arange(1024, dtype=np.uint16)[:, None].repeat(2048, 1)
    made = sized({"label": tf.constant(ids)}, *options)["label"].numpy()
    assert made[:, 0].tolist() == list(range(2, 1024, 4))


@pytest.mark.parametrize("preprocess", PREPROCESS)
def test_all_maps_and_the_picture_get_one_size(preprocess):
    example = {
        "image": tf.zeros([100, 170, 3]),
        "label": tf.zeros([100, 170], tf.uint16),
        "instance": tf.zeros([100, 170], tf.uint16),
        "condition": tf.zeros([100, 170, 2]),
    }
    made = sized(example, preprocess, 72, 64, multiple=32)
    assert len({tuple(value.shape[:2]) for value in made.values()}) == 1


def test_a_crop_of_too_small_a_map():
    with pytest.raises(DataError, match="crop of 64x64 is larger than the image of 32x80"):
        sized({"label": tf.zeros([32, 80], tf.uint16)}, "crop", None, 64)
