import itertools
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.prepare.prepare import prepare
from pipelines.reading import scaling, transforms
from pipelines.reading.input_pipeline import make_dataset
from pipelines.reading.prepared import open_dataset
from pipelines.schema import DataError

# 13 examples in batches of 3: the first epoch ends inside the 5th batch, the second in the 9th.
NUM_TRAIN, NUM_VAL, BATCH_SIZE = 13, 5, 3
SIZE = (12, 16)


@pytest.fixture(scope="module")
def make_builder(tmp_path_factory, make_source):
    def make(**kwargs):
        root = tmp_path_factory.mktemp("prepared")
        source = make_source(root / "source", size=SIZE, **kwargs)
        prepare("paired_folder", source_dir=source, data_dir=root / "data", num_classes=7)
        return open_dataset("paired_folder", root / "data")

    return make


@pytest.fixture(scope="module")
def builder(make_builder):
    return make_builder(num_train=NUM_TRAIN, num_val=NUM_VAL)


def batches(builder, count=None, split="train", **kwargs):
    options = {
        "batch_size": BATCH_SIZE,
        "load_size": (11, 14),
        "crop_size": (8, 10),
        "flip": True,
        "seed": 1,
        "training": True,
        "with_instance": True,
    }
    dataset = make_dataset(builder, split, **(options | kwargs))
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def assert_same(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def names(stream):
    """Which example each is: its grey level is 10 times its number."""
    levels = np.concatenate([batch["image"][:, 0, 0, 0] for batch in stream])
    return np.rint((levels + 1) * 127.5 / 10).astype(int).tolist()


@pytest.mark.parametrize("start_step", [1, 4, 7, 9, 26])
@pytest.mark.parametrize("cache", [False, True])
def test_resumed_equals_uninterrupted(builder, start_step, cache):
    uninterrupted = batches(builder, start_step + 6, cache=cache)
    resumed = batches(builder, 6, start_step=start_step, cache=cache)
    assert_same(resumed, uninterrupted[start_step:])


def test_resumed_equals_uninterrupted_with_a_small_shuffle_buffer(builder):
    uninterrupted = batches(builder, 12, shuffle_buffer=4)
    assert_same(batches(builder, 5, start_step=7, shuffle_buffer=4), uninterrupted[7:])


@pytest.fixture(scope="module")
def sharded(tmp_path_factory, make_source):
    """Twenty-four records in as many shards, more than are read at a time."""
    root = tmp_path_factory.mktemp("sharded")
    source = make_source(root / "source", size=SIZE, num_train=24, num_val=1)
    options = {"num_classes": 7, "shard_bytes": 1}
    prepare("paired_folder", source_dir=source, data_dir=root / "data", **options)
    return open_dataset("paired_folder", root / "data")


def test_shards_come_in_another_order_in_each_epoch(sharded):
    # Without a window, what is seen is the order of the shards.
    options = {"cache": False, "shuffle_buffer": 1, "batch_size": 4}
    uninterrupted = batches(sharded, 18, **options)
    stream = names(uninterrupted)
    epochs = [stream[i : i + 24] for i in range(0, len(stream), 24)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    # The last shards are not always the last to be read.
    assert len({frozenset(epoch[16:]) for epoch in epochs}) == 3
    for start in (1, 7, 13):
        assert_same(batches(sharded, 5, start_step=start, **options), uninterrupted[start:][:5])
    assert names(batches(sharded, 6, **options, seed=2)) != epochs[0]
    shares = [
        batches(sharded, 18, **options, num_input_pipelines=2, input_pipeline_id=i) for i in (0, 1)
    ]
    for whole, first, second in zip(uninterrupted, *shares, strict=True):
        np.testing.assert_array_equal(
            whole["image"], np.concatenate([first["image"], second["image"]])
        )


def test_records_in_memory_are_all_shuffled_among_one_another(sharded):
    options = {"cache": True, "shuffle_buffer": 1, "batch_size": 4}
    assert_same(
        batches(sharded, 6, **options), batches(sharded, 6, **{**options, "shuffle_buffer": 24})
    )


def test_the_stream_depends_on_its_seed_alone(builder):
    streams = []
    for global_seed in (0, 123):
        tf.random.set_seed(global_seed)
        streams.append(batches(builder, 8))
    assert_same(*streams)
    assert names(batches(builder, 8, seed=2)) != names(streams[0])


def test_every_epoch_holds_each_example_once_in_another_order(builder):
    stream = names(batches(builder, 13))
    epochs = [stream[i : i + NUM_TRAIN] for i in range(0, len(stream), NUM_TRAIN)]
    assert len(epochs) == 3
    for epoch in epochs:
        assert sorted(epoch) == list(range(NUM_TRAIN))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


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
        flip=True,
        seed=0,
        training=True,
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


def test_batch_larger_than_the_data_set(builder):
    (batch,) = batches(builder, 1, batch_size=30)
    assert batch["image"].shape == (30, 8, 10, 3)
    counts = np.bincount(names([batch]), minlength=NUM_TRAIN)
    # Two whole epochs and four examples of a third.
    assert sorted(counts) == [2] * 9 + [3] * 4
    resumed = batches(builder, 1, batch_size=30, start_step=2)
    assert_same(resumed, batches(builder, 3, batch_size=30)[2:])


def test_cached_records_are_read_once(make_builder):
    builder = make_builder(num_train=4)
    dataset = make_dataset(
        builder,
        "train",
        batch_size=4,
        load_size=None,
        crop_size=SIZE,
        flip=False,
        seed=0,
        training=True,
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


def test_another_batch_size_goes_on_at_the_next_example(builder):
    singly = batches(builder, 24, batch_size=1)
    expected = [
        {key: np.concatenate([part[key] for part in singly[i : i + 4]]) for key in singly[0]}
        for i in (10, 14, 18)
    ]
    assert_same(batches(builder, 3, batch_size=4, start_example=10), expected)
    assert_same(batches(builder, 2, batch_size=4, start_example=10, start_step=1), expected[1:])


@pytest.mark.parametrize("num_input_pipelines", [2, 3, 6])
@pytest.mark.parametrize("training", [True, False])
def test_workers_share_out_the_rows_of_each_batch(builder, num_input_pipelines, training):
    # From an example on that batches of this size would not begin with.
    options = {"batch_size": 6, "start_example": 2, "start_step": 1, "training": training}
    count = 7 if training else None
    whole = batches(builder, count, **options)
    workers = [
        batches(
            builder,
            count,
            num_input_pipelines=num_input_pipelines,
            input_pipeline_id=worker,
            **options,
        )
        for worker in range(num_input_pipelines)
    ]
    joined = [
        {key: np.concatenate([part[key] for part in parts if part]) for key in whole[0]}
        for parts in itertools.zip_longest(*workers)
    ]
    assert_same(joined, whole)
    if training:
        assert workers[0][0]["image"].shape[0] == 6 // num_input_pipelines


def test_workers_decode_their_rows_alone(builder, monkeypatch):
    decoded = []
    decode = tf.io.decode_png

    def counting(encoded, *args, **kwargs):
        tf.py_function(lambda: decoded.append(1), [], [])
        return decode(encoded, *args, **kwargs)

    monkeypatch.setattr(tf.io, "decode_png", counting)
    options = {"split": "val", "training": False, "batch_size": 4, "num_input_pipelines": 2}
    counts = []
    for worker in range(2):
        decoded.clear()
        batches(builder, input_pipeline_id=worker, **options)
        # Label and instance map of each example.
        counts.append(len(decoded) // 2)
    assert counts == [3, 2]


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"num_input_pipelines": 0}, "num_input_pipelines: 0 received; give 1 or more"),
        ({"num_input_pipelines": 3, "input_pipeline_id": 3}, "input_pipeline_id: 3 received"),
        ({"num_input_pipelines": 2}, "batch_size: 3 received, which 2 input pipelines cannot"),
        ({"preprocess": "stretch"}, "preprocess: 'stretch' received; give one of resize_and_crop"),
        ({"preprocess": "scale_width", "load_size": None}, "load_size: None received, but"),
        ({"color_jitter": 2.0}, "color_jitter: 2.0 received; give 0 to 1"),
        ({"on_corrupt_record": "ask"}, "on_corrupt_record: 'ask' received; give stop or skip"),
    ],
)
def test_more_bad_arguments(builder, kwargs, said):
    with pytest.raises(DataError, match=r"\A" + re.escape(said) + r"[^\n]*\Z"):
        batches(builder, 1, **kwargs)


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
    assert_same(
        batches(builder, 1, training=False, color_jitter=0.3), batches(builder, 1, training=False)
    )


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
