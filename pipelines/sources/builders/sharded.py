"""What all builders share: items → examples → shards, one after the other or through Beam."""

from __future__ import annotations

import abc
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

from pipelines.schema import BadFileError, DataError, LabelSet
from pipelines.sources.builders import journal as journals
from pipelines.sources.builders.journal import Journal, ShardReport
from pipelines.sources.provenance import stamps_of

# Of the encoded data. Shards are what is written at a time, and what is kept after a kill.
SHARD_BYTES = 64 * 2**20


class Example(NamedTuple):
    """One example, read and checked.

    Attributes:
        key: its name, unique in its split.
        features: what is stored, by name.
        num_off_palette: pixels whose colour was not in the palette.
    """

    key: str
    features: dict[str, Any]
    num_off_palette: int = 0


Reader = Callable[[Any], Example]
OnProgress = Callable[[str, int], None]


class Writing(NamedTuple):
    """How a builder is to write.

    Attributes:
        journal: where finished shards are kept, or None to keep none.
        skip_bad_files: whether bad files are left out, and listed, instead of stopping for them.
        shard_bytes: about how large a shard is, encoded.
        on_progress: called in this process with a split and the number of its items just done.
    """

    journal: Journal | None = None
    skip_bad_files: bool = False
    shard_bytes: int = SHARD_BYTES
    on_progress: OnProgress | None = None


class ShardedBuilder(tfds.core.ShardBasedBuilder):
    """Base of the builders: whoever derives from it tells the items and how each is read.

    The items of a split are shuffled by the hash of their names and cut into shards. TFDS then
    writes the shards one after the other, or many at a time through Beam.

    Attributes:
        label_set: the `LabelSet` of the source.
        num_examples: number of items by split.
        writing: how to write.
    """

    # Nothing is downloaded; looking for checksums would need a package that TFDS does not declare.
    url_infos = None

    label_set: LabelSet
    num_examples: dict[str, int]
    writing = Writing()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # TFDS has a Cityscapes of its own, and refuses a second of that name.
        super().__init_subclass__(skip_registration=True, **kwargs)

    @abc.abstractmethod
    def items(self) -> Mapping[str, Sequence[Any]]:
        """The items of each split, to be pickled; `item_name` tells them apart."""

    @abc.abstractmethod
    def reader(self) -> Reader:
        """What turns an item into an example, to be pickled."""

    @abc.abstractmethod
    def num_source_bytes(self, items: Sequence[Any]) -> int:
        """About how many bytes these items take, encoded."""

    @staticmethod
    def item_name(item: Any) -> str:
        """The name of an item."""
        return str(item.stem)

    def left_out(self, prepared: Path | None = None) -> list[str]:
        """Files of the source that are no part of the data set, apart from `prepared`."""
        del prepared
        return []

    def shards(self) -> dict[str, list[tuple[str, Sequence[Any]]]]:
        """The file names of the shards and their items, by split."""
        shards: dict[str, list[tuple[str, Sequence[Any]]]] = {}
        for split, items in self.items().items():
            shuffled = sorted(items, key=self._hash)
            wanted = -(-self.num_source_bytes(shuffled) // self.writing.shard_bytes)
            count = max(1, min(wanted, len(shuffled)))
            bounds = [len(shuffled) * i // count for i in range(count + 1)]
            template = self._get_filename_template(split_name=split)
            shards[split] = [
                (
                    template.sharded_filepath(shard_index=i, num_shards=count).name,
                    shuffled[bounds[i] : bounds[i + 1]],
                )
                for i in range(count)
            ]
        return shards

    def _hash(self, item: Any) -> bytes:
        return hashlib.sha256(self.item_name(item).encode()).digest()

    def fingerprints(self) -> dict[str, str]:
        """What each shard is made from, by its file name."""
        reader = self.reader()
        return {
            name: journals.fingerprint(reader, items)
            for shards in self.shards().values()
            for name, items in shards
        }

    def _shard_iterators_per_split(
        self, dl_manager: Any
    ) -> dict[str, list[Callable[[], Iterator[Any]]]]:
        del dl_manager
        reader = self.reader()
        # Progress is told by this process alone; what Beam runs elsewhere cannot be pickled.
        return {
            split: [
                functools.partial(
                    _examples, split=split, name=name, items=items, reader=reader, how=self.writing
                )
                for name, items in shards
            ]
            for split, shards in self.shards().items()
        }

    def _example_writer(self) -> Any:
        writer = super()._example_writer()
        if self.writing.journal is None:
            return writer
        return _ResumableWriter(writer, self.writing.journal)

    def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
        journal = self.writing.journal
        if journal is None:
            super()._download_and_prepare(dl_manager, download_config)
            return
        if download_config is not None and download_config.beam_runner is not None:
            self._write_through_beam(download_config.beam_runner, download_config.beam_options)
        else:
            super()._download_and_prepare(dl_manager, download_config)
        splits = []
        for split, shards in self.shards().items():
            reports = [journal.finished(name) for name, _ in shards]
            lengths = [report.num_examples if report else 0 for report in reports]
            if not sum(lengths):
                skipped = [bad for report in reports if report for bad in report.skipped]
                raise DataError(
                    f"{split}: none of its {len(skipped)} examples could be used, the first for: "
                    f"{skipped[0]['reason']}"
                )
            splits.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=lengths,
                    num_bytes=sum(
                        (Path(self.data_dir) / name).stat().st_size for name, _ in shards
                    ),
                    filename_template=self._get_filename_template(split_name=split),
                )
            )
        self.info.set_splits(tfds.core.SplitDict(splits))

    def _write_through_beam(self, runner: str, options: Any) -> None:
        # TFDS makes a stage of the pipeline for every shard, and DirectRunner runs stages one
        # after the other; here all shards are elements of one stage.
        import apache_beam as beam
        from tensorflow_datasets.core import example_serializer, writer

        shard_writer = writer.ShardWriter(
            features=self.info.features,
            serializer=example_serializer.ExampleSerializer(
                self.info.features.get_serialized_info()
            ),
            example_writer=self._example_writer(),
        )
        directory = Path(self.data_dir)
        iterators = self._shard_iterators_per_split(None)
        tasks = [
            (directory / name, iterator)
            for split, shards in self.shards().items()
            for (name, _), iterator in zip(shards, iterators[split], strict=True)
        ]
        with beam.Pipeline(runner=runner, options=options) as pipeline:
            _ = (
                pipeline
                | "Shards" >> beam.Create(tasks)
                | "Spread" >> beam.Reshuffle()
                | "Write" >> beam.Map(_write_task, shard_writer=shard_writer)
            )


def _write_task(task: tuple[Path, Callable[[], Iterator[Any]]], shard_writer: Any) -> int:
    path, examples = task
    return shard_writer.write(examples=examples(), path=path)


class _ResumableWriter:
    """Writes shards as TFDS does, but once."""

    def __init__(self, writer: Any, journal: Journal) -> None:
        self._writer = writer
        self._journal = journal
        self.file_format = writer.file_format

    def write(self, path: Any, examples: Any) -> None:
        journals.write_shard(self._journal, Path(path), self._writer.write, examples)


def _examples(
    *, split: str, name: str, items: Sequence[Any], reader: Reader, how: Writing
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    if how.journal is not None and (done := how.journal.finished(name)):
        # TFDS counts these, but does not look at them: the shard is there.
        yield from ((str(i), None) for i in range(done.num_examples))
        if how.on_progress:
            how.on_progress(split, len(items))
        return
    count = num_off_palette = 0
    skipped: list[dict[str, str]] = []
    sources: list[list[Any]] = []
    for item in items:
        try:
            example = reader(item)
        except BadFileError as bad:
            if not how.skip_bad_files:
                if how.journal is not None:
                    how.journal.write_error(bad)
                raise
            skipped.append(skipped_entry(split, bad, stage="reading"))
            sources += stamps_of([item])
        else:
            # Its files have just been read, so that they need not come from the disk again.
            sources += stamps_of([item])
            yield example.key, example.features
            count += 1
            num_off_palette += example.num_off_palette
        if how.on_progress:
            how.on_progress(split, 1)
    if how.journal is not None:
        digest = journals.fingerprint(reader, items)
        how.journal.write_report(
            name, ShardReport(split, count, num_off_palette, skipped, digest, sources)
        )


def skipped_entry(split: str, bad: BadFileError, *, stage: str) -> dict[str, str]:
    """What is listed of a file that was left out, as the files were listed or as it was read."""
    return {
        "split": split,
        "file": str(bad.path),
        "kind": bad.kind,
        "stage": stage,
        "reason": str(bad),
    }
