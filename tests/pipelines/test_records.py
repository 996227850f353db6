import logging
import re
import struct

import numpy as np
import pytest
import tensorflow as tf

from pipelines.prepare.prepare import prepare
from pipelines.reading import records
from pipelines.reading.input_pipeline import Training, make_dataset
from pipelines.reading.prepared import open_dataset
from pipelines.schema import DataError

NUM_TRAIN = 24


@pytest.fixture
def builder(tmp_path, make_source):
    source = make_source(tmp_path / "source", num_train=NUM_TRAIN, size=(6, 8))
    prepare(
        "paired_folder",
        source_dir=source,
        data_dir=tmp_path / "data",
        num_classes=7,
        shard_bytes=sum(path.stat().st_size for path in source.glob("train_*/*")) // 3 + 1,
    )
    return open_dataset("paired_folder", tmp_path / "data")


def shard(builder, index=1):
    return sorted(builder.data_path.glob("*train*"))[index]


def offsets(path):
    """Where the records of a shard start, by the lengths that are in it."""
    content = path.read_bytes()
    found, at = [], 0
    while at < len(content):
        found.append(at)
        at += 8 + 4 + struct.unpack_from("<Q", content, at)[0] + 4
    return found


def spoil(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(bytes(content))


def read(builder, split="train", **kwargs):
    reader, count = records.read_records(builder, split, **kwargs)
    found = list(reader(None).as_numpy_iterator())
    assert len(found) == count
    return found


def test_records_are_those_that_tfds_reads(builder):
    assert len(list(builder.data_path.glob("*train*"))) == 3
    decode = builder.info.features.deserialize_example
    names = [decode(record)["name"].numpy() for record in read(builder)]
    expected = [r["name"] for r in builder.as_dataset(split="train").as_numpy_iterator()]
    assert sorted(names) == sorted(expected)
    assert len(set(names)) == NUM_TRAIN


@pytest.mark.parametrize("split", ["train[3:20]", "train[5:6]", "train[20:]"])
def test_part_of_a_split(builder, split):
    info = builder.info.splits[split]
    assert len(read(builder, split)) == info.num_examples
    assert set(read(builder, split)) < set(read(builder))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("where", ["data", "length"])
def test_a_damaged_record_is_named(builder, training, where):
    path = shard(builder)
    start = offsets(path)[4]
    spoil(path, start + (30 if where == "data" else 1))
    dataset = make_dataset(
        builder,
        "train",
        batch_size=4,
        load_size=None,
        crop_size=6,
        training=Training(0, flip=True) if training else None,
    )
    said = re.escape(f"{path}: record 4 is damaged or missing; prepare the data set again")
    with pytest.raises(tf.errors.InvalidArgumentError, match=said) as raised:
        list(dataset.take(12))
    assert str(records.corrupt_record_error(raised.value)).startswith(f"{path}: record 4 is")
    assert records.corrupt_record_error(tf.errors.InvalidArgumentError(None, None, "x")) is None


def test_a_truncated_shard_is_named(builder):
    path = shard(builder)
    start = offsets(path)[6]
    path.write_bytes(path.read_bytes()[: start + 20])
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{path.name}: record 6 is damaged"):
        read(builder)


def test_damaged_records_are_left_out_and_counted(builder, caplog):
    whole = read(builder)
    path = shard(builder)
    starts = offsets(path)
    assert len(starts) == 8
    for index in (2, 3, 6):
        spoil(path, starts[index] + 40)
    with caplog.at_level(logging.WARNING, logger="absl"):
        kept = read(builder, on_corrupt_record="skip")
    assert len(kept) == NUM_TRAIN - 3
    assert set(kept) < set(whole)
    assert [f"{path}: record {index} is damaged, 1 left out" for index in (2, 3, 6)] == [
        record.getMessage() for record in caplog.records
    ]
    dataset = make_dataset(
        builder,
        "train",
        batch_size=NUM_TRAIN - 3,
        load_size=None,
        crop_size=6,
        training=Training(0, flip=False),
        on_corrupt_record="skip",
    )
    levels = np.sort([b["image"][:, 0, 0, 0] for b in dataset.take(3).as_numpy_iterator()])
    # Every epoch has the same examples, each once.
    np.testing.assert_array_equal(levels[0], levels[1])
    assert len(np.unique(levels[0])) == NUM_TRAIN - 3


def test_a_damaged_length_loses_the_rest_of_the_shard(builder, caplog):
    path = shard(builder)
    spoil(path, offsets(path)[5] + 2)
    with caplog.at_level(logging.WARNING, logger="absl"):
        kept = read(builder, on_corrupt_record="skip")
    assert len(kept) == NUM_TRAIN - 3
    (record,) = caplog.records
    assert record.getMessage() == f"{path}: record 5 is damaged, 3 left out"


def test_a_part_of_a_split_with_a_damaged_shard(builder):
    path = shard(builder)
    spoil(path, offsets(path)[2] + 40)
    # The shards hold 8 records each: 4 of the first, 4 of the damaged one.
    kept = read(builder, "train[4:12]", on_corrupt_record="skip")
    assert len(kept) == 7
    assert set(kept) < set(read(builder, on_corrupt_record="skip"))


def test_nothing_is_left(builder):
    for path in builder.data_path.glob("*train*"):
        spoil(path, 2)
    with pytest.raises(DataError, match=r"'train' of paired_folder/1[.]0[.]0 has no record"):
        read(builder, on_corrupt_record="skip")
