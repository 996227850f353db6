import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from prepared_batches import BATCH_SIZE, SIZE, assert_same, batches, names

from pipelines.prepare.prepare import prepare
from pipelines.reading import scaling, transforms
from pipelines.reading.input_pipeline import Training, make_dataset
from pipelines.reading.prepared import open_dataset
from pipelines.schema import DataError

InputContext = tf.distribute.InputContext

NUM_TRAIN, NUM_VAL = 13, 5


def test_an_example_is_augmented_by_its_position_in_the_stream(builder):
    # The operations are run by hand here, eagerly, on what comes out without augmentation.
    plain = batches(builder, 13, load_size=None, crop_size=SIZE, flip=False)
    augmented = batches(builder, 13)
    variants = set()
    for step, (before, after) in enumerate(zip(plain, augmented, strict=True)):
        for i in range(BATCH_SIZE):
            example = {
                "image": (before["image"][i] + 1) * 127.5,
                "label": before["label"][i],
                "instance": before["instance"][i],
                "seed": tf.constant([1, step * BATCH_SIZE + i], tf.int64),
            }
            for operation in (
                scaling.resize(11, 14),
                transforms.random_crop(8, 10),
                transforms.random_flip(),
                transforms.normalize(),
            ):
                example = operation(example)
            np.testing.assert_array_equal(after["label"][i], example["label"])
            np.testing.assert_array_equal(after["instance"][i], example["instance"])
            # The way to 0..255 and back rounds once more, by half a unit in the last place of 255.
            np.testing.assert_allclose(after["image"][i], example["image"], rtol=0, atol=1e-6)
            variants.add(
                (names([{"image": after["image"][i : i + 1]}])[0], after["label"][i].tobytes())
            )
    # In three epochs, with 32 ways to cut and mirror, an example rarely comes the same way again.
    assert len(variants) > 2 * NUM_TRAIN


@pytest.mark.parametrize("with_instance", [True, False])
def test_training_batches_have_static_shapes(builder, with_instance):
    dataset = make_dataset(
        builder,
        "train",
        batch_size=4,
        load_size=12,
        crop_size=8,
        training=Training(0, flip=True),
        with_instance=with_instance,
    )
    expected = {
        "image": tf.TensorSpec((4, 8, 8, 3), tf.float32),
        "label": tf.TensorSpec((4, 8, 8), tf.int32),
        "instance": tf.TensorSpec((4, 8, 8), tf.int32),
    }
    if not with_instance:
        del expected["instance"]
    assert dataset.element_spec == expected


def test_images_are_between_minus_one_and_one(tmp_path, make_source):
    source = make_source(tmp_path / "source", num_train=2)
    pixels = np.random.default_rng(0).choice([0, 255], (*SIZE, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(source / "train_img" / "000.png")
    prepare("paired_folder", source_dir=source, data_dir=tmp_path / "data", num_classes=7)
    images = [
        batch["image"] for batch in batches(open_dataset("paired_folder", tmp_path / "data"), 4)
    ]
    assert np.min(images) == -1
    assert np.max(images) == 1


def test_evaluation_is_one_pass_in_order(builder):
    stream = batches(builder, split="val", training=False)
    assert [batch["label"].shape for batch in stream] == [(3, 8, 10), (2, 8, 10)]
    assert sorted(names(stream)) == list(range(NUM_VAL))
    assert_same(stream, batches(builder, split="val", training=False, seed=9, flip=False))
    assert_same(batches(builder, split="val", training=False, start_step=1), stream[1:])


def test_evaluation_of_the_native_size_gives_the_files_back(builder):
    stream = batches(builder, split="val", training=False, crop_size=SIZE)
    labels = np.concatenate([batch["label"] for batch in stream])
    instances = np.concatenate([batch["instance"] for batch in stream])
    for name, label, instance in zip(names(stream), labels, instances, strict=True):
        # What the fixture draws for example `name`; 255 is stored as id 7.
        rng = np.random.default_rng(name)
        expected = rng.integers(0, 7, SIZE)
        expected[0, 0] = 7
        np.testing.assert_array_equal(label, expected)
        np.testing.assert_array_equal(instance, rng.integers(0, 65536, SIZE))


def test_cached_records_are_read_once(make_builder):
    builder = make_builder(num_train=4)
    dataset = make_dataset(
        builder,
        "train",
        batch_size=4,
        load_size=None,
        crop_size=SIZE,
        training=Training(0, flip=False),
        cache="auto",
    )
    iterator = iter(dataset)
    next(iterator)
    for path in builder.data_path.glob("*.tfrecord*"):
        path.unlink()
    for _ in range(20):
        next(iterator)


def test_part_of_a_split(builder):
    stream = batches(builder, 4, split="train[:4]")
    assert len(set(names(stream))) == 4


def test_sizes_are_taken_from_the_source_without_load_size(builder):
    (batch,) = batches(builder, 1, load_size=None, crop_size=(12, 8))
    assert batch["label"].shape == (3, 12, 8)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"crop of 13x8 .*\] \[12 16\]"):
        batches(builder, 1, load_size=None, crop_size=(13, 8))


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"crop_size": 12}, "crop_size: 12x12 received, larger than load_size 11x14"),
        ({"crop_size": (11, 15)}, "crop_size: 11x15 received, larger than load_size 11x14"),
        ({"crop_size": 0}, "crop_size: 0x0"),
        ({"load_size": (5, 0)}, "load_size: 5x0"),
        ({"batch_size": 0}, "batch_size: 0 received; give 1 or more"),
        ({"start_example": -1}, "start_example: -1 received; give 0 or more"),
        ({"start_step": -1}, "start_step: -1 received; give 0 or more"),
        ({"shuffle_buffer": 0}, "shuffle_buffer: 0 received; give 1 or more"),
        ({"cache": "yes"}, "cache: 'yes' received; give True, False or 'auto'"),
        ({"split": "test"}, "split: 'test' is not in paired_folder/1.0.0; give one of train, val"),
        ({"split": "train[:0]"}, "split: 'train[:0]' of paired_folder/1.0.0 is empty"),
        (
            {"input_context": InputContext(2, 0)},
            "batch_size: 3 received, which 2 input pipelines cannot",
        ),
        ({"preprocess": "stretch"}, "preprocess: 'stretch' received; give one of resize_and_crop"),
        ({"preprocess": "scale_width", "load_size": None}, "load_size: None received, but"),
        ({"color_jitter": 2.0}, "color_jitter: 2.0 received; give 0 to 1"),
        ({"on_corrupt_record": "ask"}, "on_corrupt_record: 'ask' received; give stop or skip"),
    ],
)
def test_bad_arguments(builder, kwargs, said):
    with pytest.raises(DataError, match=r"\A" + re.escape(said) + r"[^\n]*\Z"):
        batches(builder, 1, **kwargs)


def test_instances_that_are_not_there(make_builder):
    builder = make_builder(num_train=2, with_instance=False)
    with pytest.raises(DataError, match=r"with_instance: True received, but paired_folder/1\.0\.0"):
        batches(builder, 1)
    assert sorted(batches(builder, 1, with_instance=False)[0]) == ["image", "label"]


def test_real_pairs(coco_stuff_sample, tmp_path):
    prepare("paired_folder", source_dir=coco_stuff_sample, data_dir=tmp_path, num_classes=182)
    builder = open_dataset("paired_folder", tmp_path)
    (batch,) = batches(builder, 1, batch_size=13, load_size=286, crop_size=256)
    assert batch["image"].shape == (13, 256, 256, 3)
    assert batch["image"].std() > 0.3
    assert batch["label"].min() >= 0
    assert batch["label"].max() == 182


# The pictures are 12 high and 16 wide; load_size is 11 by 14, crop_size 8 by 10.
@pytest.mark.parametrize(
    ("preprocess", "train_shape", "val_shape"),
    [
        ("resize_and_crop", (8, 10), (8, 10)),
        ("crop", (8, 10), (8, 10)),
        ("scale_width", (10, 14), (10, 14)),
        ("scale_width_and_crop", (8, 10), (8, 10)),
        ("scale_short_side", (11, 14), (11, 14)),
        ("scale_short_side_and_crop", (8, 10), (8, 10)),
        ("fixed", (8, 10), (8, 10)),
        ("none", (32, 32), (32, 32)),
    ],
)
def test_preprocess(builder, preprocess, train_shape, val_shape):
    (train,) = batches(builder, 1, preprocess=preprocess)
    assert train["image"].shape[1:3] == train["label"].shape[1:] == train_shape
    (val,) = batches(builder, 1, preprocess=preprocess, training=False)
    assert val["label"].shape[1:] == val_shape


def test_colour_jitter_changes_the_image_alone(builder):
    plain = batches(builder, 3)
    jittered = batches(builder, 3, color_jitter=0.3)
    for before, after in zip(plain, jittered, strict=True):
        np.testing.assert_array_equal(before["label"], after["label"])
        assert np.abs(before["image"] - after["image"]).max() > 0.01
    assert_same(jittered, batches(builder, 3, color_jitter=0.3))


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("I;16", 1), ("RGB", 3), ("RGBA", 4)])
def test_continuous_maps(tmp_path, make_source, mode, channels):
    source = make_source(tmp_path / "source", num_train=3, with_instance=False)
    shape = SIZE if channels == 1 else (*SIZE, channels)
    dtype = np.uint16 if mode == "I;16" else np.uint8
    maps = {}
    for path in sorted((source / "train_label").iterdir()):
        level = len(maps)
        rng = np.random.default_rng(level)
        maps[level] = rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
        Image.fromarray(maps[level]).save(path)
    (source / "train_label").rename(source / "train_cond")
    prepare("paired_folder", source_dir=source, data_dir=tmp_path / "data")
    builder = open_dataset("paired_folder", tmp_path / "data")
    options = {"with_instance": False, "crop_size": SIZE, "load_size": None}
    (batch,) = batches(builder, 1, training=False, **options)
    assert sorted(batch) == ["condition", "image"]
    for name, condition in zip(names([batch]), batch["condition"], strict=True):
        expected = maps[name].reshape(*SIZE, channels) / np.float32(np.iinfo(dtype).max)
        np.testing.assert_array_equal(condition, expected)
    # Scaled, cropped and mirrored with the picture, it stays between 0 and 1.
    (batch,) = batches(builder, 1, with_instance=False)
    assert batch["condition"].shape == (3, 8, 10, channels)
    assert 0 <= batch["condition"].min() < batch["condition"].max() <= 1
