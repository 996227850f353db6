"""Reads the records of a prepared data set, and finds damaged ones."""

from __future__ import annotations

import functools
import re
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf
from absl import logging

from pipelines.schema import ArgumentError, DataError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

_CYCLE_LENGTH = 16
_BLOCK_LENGTH = 16
_BUFFER_BYTES = 1 << 20

# A record is framed by its length (8 bytes) and the checksums of its length and of itself.
_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4
_CASTAGNOLI = 0x82F63B78

_DAMAGED = (
    " is damaged or missing; prepare the data set again, or train with data.on_corrupt_record set "
    "to skip"
)


class CorruptRecord(NamedTuple):
    """A damaged place in a shard.

    Attributes:
        shard: the file.
        record: number of the record in it, from 0 on.
        num_lost: how many records are lost there: 1, or the rest of the shard where the length
            of the record is damaged, too.
    """

    shard: Path
    record: int
    num_lost: int


class _Part(NamedTuple):
    """Which records of a shard belong to a split."""

    shard: str
    skip: int
    take: int
    num_records: int


def read_records(
    builder: tfds.core.DatasetBuilder, split: str, *, on_corrupt_record: str = "stop"
) -> tuple[Callable[[tf.Tensor | None], tf.data.Dataset], int]:
    """Returns a reader of the records of a split, still serialised.

    Sixteen shards are read at a time, and sixteen records of each in turn.

    Args:
        builder: of a prepared data set.
        split: such as `"train"`, or a part of it, such as `"train[:10]"`.
        on_corrupt_record: `"stop"` fails where a damaged record is read, with an
            `InvalidArgumentError` that names shard and record; `"skip"` reads all shards through
            in advance, logs a warning for every damaged record, and leaves it out.

    Returns:
        A function that takes a seed (a scalar int64) and returns a dataset of scalar strings, and
        the number of these. The seed gives the order of the shards; None is the order of storage.

    Raises:
        DataError: if there is no such split, it is empty, or nothing in it can be read.
    """
    if on_corrupt_record not in ("stop", "skip"):
        raise ArgumentError(
            "on_corrupt_record", f"{on_corrupt_record!r} received; give stop or skip"
        )
    parts = _parts(builder, split)
    damaged: dict[str, list[tuple[int, int]]] = {}
    if on_corrupt_record == "skip":
        for part in parts:
            extents, lost = _examine(part)
            if lost:
                damaged[part.shard] = extents[part.skip : part.skip + part.take]
            for corrupt in lost:
                logging.warning(
                    "%s: record %d is damaged, %d left out",
                    corrupt.shard,
                    corrupt.record,
                    corrupt.num_lost,
                )
    whole = [part for part in parts if part.shard not in damaged]
    good = {
        shard: [extent for extent in extents if extent[1]] for shard, extents in damaged.items()
    }
    num_records = sum(part.take for part in whole) + sum(map(len, good.values()))
    if not num_records:
        raise ArgumentError(
            "split",
            f"{split!r} of {builder.info.full_name} has no record that can be read; prepare "
            "the data set again",
        )

    def read(seed: tf.Tensor | None) -> tf.data.Dataset:
        datasets = [_read_whole(whole, seed)] if whole else []
        datasets += [_read_extents(shard, extents) for shard, extents in good.items() if extents]
        return functools.reduce(tf.data.Dataset.concatenate, datasets)

    return read, num_records


def corrupt_record_error(error: tf.errors.OpError) -> DataError | None:
    """Returns what a data set said of a damaged record, without TensorFlow's words around it.

    Args:
        error: that an iterator over `pipelines.reading.input_pipeline.make_dataset` raised.

    Returns:
        An error of one line that names shard and record, or None if it is of another kind.
    """
    found = re.search(r"\[([^\[\]]*: record \d+" + re.escape(_DAMAGED) + r")\]", str(error))
    return DataError(found.group(1)) if found else None


def _parts(builder: tfds.core.DatasetBuilder, split: str) -> list[_Part]:
    try:
        info = builder.info.splits[split]
    except (KeyError, ValueError):
        raise ArgumentError(
            "split",
            f"{split!r} is not in {builder.info.full_name}; give one of "
            f"{', '.join(builder.info.splits)}, or a part such as 'train[:10]'",
        ) from None
    if info.num_examples == 0:
        raise ArgumentError(
            "split", f"{split!r} of {builder.info.full_name} is empty; give another"
        )
    return [
        _Part(
            str(part.filename),
            part.skip,
            part.examples_in_shard - part.skip if part.take < 0 else part.take,
            part.examples_in_shard,
        )
        for part in info.file_instructions
    ]


def _read_whole(parts: list[_Part], seed: tf.Tensor | None) -> tf.data.Dataset:
    shards, skips, takes, _ = zip(*parts, strict=True)
    end = tf.data.Dataset.from_tensors(b"")

    def read(shard: tf.Tensor, skip: tf.Tensor, take: tf.Tensor) -> tf.data.Dataset:
        def check(index: tf.Tensor, record: tf.Tensor) -> tf.Tensor:
            # TensorFlow's own error names neither.
            said = [shard, ": record ", tf.strings.as_string(index), _DAMAGED]
            whole = tf.debugging.Assert(tf.strings.length(record) > 0, [tf.strings.join(said)])
            with tf.control_dependencies([whole]):
                return tf.identity(record)

        # What can be read of a shard is followed by an empty record, so that its end shows.
        records = tf.data.TFRecordDataset(shard, buffer_size=_BUFFER_BYTES)
        records = records.ignore_errors(log_warning=False).concatenate(end)
        checked = records.enumerate().map(tf.autograph.experimental.do_not_convert(check))
        return checked.skip(skip).take(take)

    dataset = tf.data.Dataset.from_tensor_slices(
        (list(shards), tf.constant(skips, tf.int64), tf.constant(takes, tf.int64))
    )
    if seed is not None:
        dataset = dataset.shuffle(len(parts), seed=seed, reshuffle_each_iteration=False)
    return dataset.interleave(
        tf.autograph.experimental.do_not_convert(read),
        cycle_length=min(_CYCLE_LENGTH, len(parts)),
        block_length=_BLOCK_LENGTH,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _read_extents(shard: str, extents: list[tuple[int, int]]) -> tf.data.Dataset:
    def slices(content: tf.Tensor) -> tf.data.Dataset:
        starts, lengths = zip(*extents, strict=True)
        places = tf.data.Dataset.from_tensor_slices((list(starts), list(lengths)))
        return places.map(lambda start, length: tf.strings.substr(content, start, length))

    content = tf.data.Dataset.from_tensors(shard).map(tf.io.read_file)
    return content.flat_map(tf.autograph.experimental.do_not_convert(slices))


def _examine(part: _Part) -> tuple[list[tuple[int, int]], list[CorruptRecord]]:
    """Returns start and length of each record of a shard (length 0 if lost) and what is damaged."""
    shard = Path(part.shard)
    count = _count_readable(part.shard)
    expected = part.num_records
    if count == expected:
        return [], []
    content = shard.read_bytes()
    extents: list[tuple[int, int]] = []
    lost: list[CorruptRecord] = []
    offset = 0
    readable = count
    with tempfile.TemporaryDirectory() as scratch:
        while len(extents) < expected:
            length = _length_at(content, offset)
            if length is None:
                num_lost = expected - len(extents)
                lost.append(CorruptRecord(shard, len(extents), num_lost))
                extents += [(0, 0)] * num_lost
                break
            start = offset + _HEADER.size
            offset = start + length + _FOOTER_BYTES
            if readable:
                readable -= 1
                extents.append((start, length))
                continue
            lost.append(CorruptRecord(shard, len(extents), 1))
            extents.append((0, 0))
            # TensorFlow tells how far the shard can be read after the damage.
            rest = Path(scratch) / "rest"
            rest.write_bytes(content[offset:])
            readable = _count_readable(str(rest))
    return extents, lost


def _count_readable(path: str) -> int:
    records = tf.data.TFRecordDataset(path, buffer_size=_BUFFER_BYTES)
    records = records.ignore_errors(log_warning=False)
    return int(records.reduce(tf.constant(0, tf.int64), lambda count, _: count + 1))


def _length_at(content: bytes, offset: int) -> int | None:
    """Returns the length of the record at an offset, or None if it is damaged."""
    if offset + _HEADER.size > len(content):
        return None
    length, checksum = _HEADER.unpack_from(content, offset)
    if _masked_checksum(content[offset : offset + 8]) != checksum:
        return None
    if offset + _HEADER.size + length + _FOOTER_BYTES > len(content):
        return None
    return length


def _masked_checksum(data: bytes) -> int:
    """Returns CRC-32C, rotated and offset as the TFRecord format has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
