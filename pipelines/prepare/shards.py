"""Writes the shards of a data set, one after the other or through Apache Beam."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf
import tensorflow_datasets as tfds

from pipelines.prepare.journal import Journal, ShardReport, fingerprint
from pipelines.prepare.read_ahead import ReadAhead
from pipelines.schema import ArgumentError, BadFileError, DataError
from pipelines.sources.builders.base import Reader, SourceBuilder
from pipelines.sources.provenance import stamps_of

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions


class Shard(NamedTuple):
    """One file of records.

    Attributes:
        name: name of the file.
        split: the split that it belongs to.
        items: what it is made from; see `SourceBuilder.items`.
    """

    name: str
    split: str
    items: Sequence[Any]


def plan_shards(builder: SourceBuilder, shard_bytes: int) -> list[Shard]:
    """Shuffles the items of each split by the hash of their names, and cuts them into shards.

    Args:
        builder: of the data set.
        shard_bytes: about how large a shard is, in bytes.
    """
    shards: list[Shard] = []
    for split, items in builder.items().items():
        shuffled = sorted(
            items, key=lambda item: hashlib.sha256(builder.item_name(item).encode()).digest()
        )
        wanted = -(-builder.num_source_bytes(shuffled) // shard_bytes)
        count = max(1, min(wanted, len(shuffled)))
        bounds = [len(shuffled) * i // count for i in range(count + 1)]
        names = tfds.core.ShardedFileTemplate(
            data_dir=builder.data_dir,
            dataset_name=builder.name,
            split=split,
            filetype_suffix="tfrecord",
        )
        shards += [
            Shard(
                names.sharded_filepath(shard_index=i, num_shards=count).name,
                split,
                shuffled[bounds[i] : bounds[i + 1]],
            )
            for i in range(count)
        ]
    return shards


class ShardWriter(NamedTuple):
    """Writes shards into a journal.

    Attributes:
        journal: where finished shards are kept.
        reader: reads the example of an item.
        features: how examples are stored.
        skip_bad_files: whether bad files are left out and listed, instead of stopping for them.
    """

    journal: Journal
    reader: Reader
    features: tfds.features.FeaturesDict
    skip_bad_files: bool

    def write(
        self,
        shard: Shard,
        on_progress: Callable[[str, int], None] | None = None,
        read: ReadAhead | None = None,
    ) -> None:
        """Writes a shard, unless it is finished.

        Args:
            shard: the shard.
            on_progress: called with its split and the number of items just done.
            read: reads items; None to read them in this process.

        Raises:
            BadFileError: if a file cannot be used and bad files are not skipped.
        """
        tell = on_progress or (lambda split, count: None)
        if self.journal.finished(shard.name):
            tell(shard.split, len(shard.items))
            return
        count = num_off_palette = 0
        skipped: list[dict[str, str]] = []
        sources: list[list[Any]] = []
        examples = (read or ReadAhead(self.reader, 1))(shard.items)
        with tf.io.TFRecordWriter(os.fspath(self.journal.part(shard.name))) as records:
            for item, example in zip(shard.items, examples, strict=True):
                if isinstance(example, BadFileError):
                    if not self.skip_bad_files:
                        self.journal.write_error(example)
                        raise example
                    skipped.append(skipped_entry(shard.split, example, stage="reading"))
                else:
                    records.write(self.features.serialize_example(example.features))
                    count += 1
                    num_off_palette += example.num_off_palette
                # The files have just been read, so they need not come from the disk again.
                sources += stamps_of([item])
                tell(shard.split, 1)
        digest = fingerprint(self.reader, shard.items)
        self.journal.finish(
            shard.name,
            ShardReport(shard.split, count, num_off_palette, skipped, digest, sources),
        )


def skipped_entry(split: str, bad: BadFileError, *, stage: str) -> dict[str, str]:
    """Returns what `skipped.jsonl` says of a file.

    Args:
        split: the split that the file belongs to.
        bad: what is wrong with it.
        stage: `listing` or `reading`, when that was found.
    """
    return {
        "split": split,
        "file": str(bad.path),
        "kind": bad.kind,
        "stage": stage,
        "reason": str(bad),
    }


def beam_pipeline_options(runner: str | None, options: Sequence[str]) -> PipelineOptions | None:
    """Returns the options of a Beam runner, or None without a runner.

    Raises:
        DataError: if there are options without a runner, or Beam is not installed.
    """
    if runner is None:
        if options:
            raise ArgumentError(
                "beam_options",
                f"{', '.join(options)} received without a runner; pass "
                "--beam_runner=DirectRunner, or leave them out",
            )
        return None
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise ArgumentError(
            "beam_runner",
            f"{runner!r} received, but Apache Beam is not installed; pip install "
            "'spade-tf[prepare]', or leave it out",
        ) from None
    return PipelineOptions([f"--{option.removeprefix('--')}" for option in options])


def write_through_beam(
    writer: ShardWriter, shards: Sequence[Shard], runner: str, options: PipelineOptions
) -> None:
    """Writes shards with Apache Beam, all of them in one stage.

    Args:
        writer: writes a shard; it is pickled.
        shards: the shards.
        runner: name of the runner.
        options: as `beam_pipeline_options` returns them.

    Raises:
        BadFileError: as `ShardWriter.write`.
    """
    import apache_beam as beam

    try:
        with beam.Pipeline(runner=runner, options=options) as pipeline:
            _ = (
                pipeline
                # Plain tuples: Beam would infer a schema from the fields of a NamedTuple.
                | "Shards" >> beam.Create([tuple(shard) for shard in shards])
                | "Spread" >> beam.Reshuffle()
                | "Write" >> beam.Map(_write_task, writer=writer)
            )
    except Exception:
        # The error of a worker arrives as text with a traceback.
        if (bad := writer.journal.read_error()) is not None:
            raise bad from None
        raise


def _write_task(shard: tuple[str, str, Sequence[Any]], writer: ShardWriter) -> None:
    writer.write(Shard(*shard))


def written_splits(journal: Journal, shards: Sequence[Shard]) -> tfds.core.SplitDict:
    """Returns the number of examples in each shard, and the size of each split.

    Raises:
        DataError: if every example of a split was skipped.
    """
    splits = []
    for split in dict.fromkeys(shard.split for shard in shards):
        names = [shard.name for shard in shards if shard.split == split]
        reports = [report for name in names if (report := journal.finished(name))]
        lengths = [report.num_examples for report in reports]
        if not sum(lengths):
            skipped = [bad for report in reports for bad in report.skipped]
            raise DataError(
                f"{split}: none of its {len(skipped)} examples could be used, the first for: "
                f"{skipped[0]['reason']}"
            )
        num_bytes = sum((Path(journal.directory) / name).stat().st_size for name in names)
        splits.append(tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=num_bytes))
    return tfds.core.SplitDict(splits)
