"""Prepares data sets: source files in, TFRecord shards out."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Unpack

from absl import logging

from pipelines.prepare import journal as journals
from pipelines.prepare.progress import OnProgress, Progress, progress_bars
from pipelines.reading.prepared import (
    SKIPPED_FILE,
    label_set,
    open_directory,
    read_skipped,
    version_directories,
)
from pipelines.schema import ArgumentError, DataError, LabelSet
from pipelines.sources import provenance
from pipelines.sources.catalogue import SourceOptions, make_builder

if TYPE_CHECKING:
    from pipelines.prepare.shards import Shard
    from pipelines.sources.builders.base import SourceBuilder

_REMEDY = "pass --overwrite to prepare it anew, or give another --data_dir"


def prepare(
    dataset: str,
    *,
    data_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    on_bad_file: str = "stop",
    overwrite: bool = False,
    shard_bytes: int = 64 * 2**20,
    num_processes: int = 1,
    beam_runner: str | None = None,
    beam_options: Sequence[str] = (),
    on_progress: OnProgress | None = None,
    **options: Unpack[SourceOptions],
) -> dict[str, Any]:
    """Writes a data set as TFRecord shards, all of it or nothing.

    A data set that is prepared already is left as it is, if it holds what is asked for and was
    made from the files as they are now (see `pipelines.sources.provenance`). After an interruption
    or a kill, the same call goes on after the last finished shard, unless its files have changed.
    No network is used.

    Args:
        dataset: one of `pipelines.sources.catalogue.DATASETS`.
        data_dir: the folder of prepared data sets.
        source_dir: the folder of the source files (`pipelines.sources.folders.FOLDERS` says how
            they lie in it). For `"manifest"`, the file that lists them.
        on_bad_file: `"stop"` at the first bad file, or `"skip"` bad files and list them all in
            `skipped.jsonl` beside the shards.
        overwrite: whether a data set that is there already is prepared anew. The old one is kept
            until the new one is complete.
        shard_bytes: about how large a shard is, in bytes.
        num_processes: how many processes read examples, once that has taken five seconds. With
            more than 1, a program that calls this needs `if __name__ == "__main__":`. A network
            that labels photographs runs in the calling process alone.
        beam_runner: name of the Apache Beam runner that writes the shards, such as
            `"DirectRunner"`; None to write them one after the other.
        beam_options: options of the runner, such as `"direct_num_workers=2"`. With runners on
            other machines, source and data folders must be on a file system that all of them see.
        on_progress: called with the split, the number of its examples done, and the number there
            will be. Default: a progress bar on standard error.
        **options: how the source files are found and read; see `SourceOptions`.

    Returns:
        A dictionary: `dataset`, `path`, `num_examples` and `num_shards` by split, `num_bytes`,
        `seconds`, `already_prepared`, `sources_known` (False for a data set of an earlier version,
        which does not tell its files), `skipped` (number of files by kind), `skipped_file` (path
        or None), `left_out` (the files under `source_dir` that are no part of the data set,
        relative to it) and `num_off_palette` (pixels).

    Raises:
        DataError: if an argument or a source file is bad, if `data_dir` cannot be written, or if
            another source, or other files, have been prepared in the same place.
    """
    start = time.monotonic()
    if on_bad_file not in ("stop", "skip"):
        raise ArgumentError("on_bad_file", f"{on_bad_file!r} received; give stop or skip")
    if shard_bytes < 1:
        raise ArgumentError("shard_bytes", f"{shard_bytes} received; give 1 or more")
    if num_processes < 1:
        raise ArgumentError("num_processes", f"{num_processes} received; give 1 or more")
    data_dir = Path(data_dir).expanduser()
    # TFDS reads what is there on construction, and says little about what is wrong with it.
    for directory in version_directories(data_dir / dataset):
        open_directory(directory)
    skip = on_bad_file == "skip"
    how = How(skip, shard_bytes, num_processes, beam_runner, beam_options, on_progress)
    if beam_runner is not None or beam_options:
        from pipelines.prepare.shards import beam_pipeline_options

        how = how._replace(beam_options=beam_pipeline_options(beam_runner, beam_options))
    builder = make_builder(
        dataset, data_dir=data_dir, source_dir=source_dir, options=options, skip_bad_files=skip
    )
    final = Path(builder.data_dir)
    provenance.move_back(final)
    root = Path(source_dir or "").expanduser().absolute()
    root = root if root.is_dir() else root.parent
    already_prepared = final.exists() and not overwrite
    sources_known, num_off_palette = True, 0
    if already_prepared:
        files = _source_files(builder)
        _check_same_options(builder)
        sources_known = provenance.check_sources(final, root, files, _REMEDY) or not files
        logging.info("%s: already prepared in %s", dataset, final)
    else:
        num_off_palette = write(builder, root, data_dir, how)
    splits = open_directory(final).info.splits
    skipped = read_skipped(final)
    return {
        "dataset": dataset,
        "path": str(final),
        "num_examples": {name: split.num_examples for name, split in splits.items()},
        "num_shards": {name: split.num_shards for name, split in splits.items()},
        "num_bytes": sum(split.num_bytes for split in splits.values()),
        "seconds": time.monotonic() - start,
        "already_prepared": already_prepared,
        "sources_known": sources_known,
        "skipped": dict(Counter(entry["kind"] for entry in skipped)),
        "skipped_file": str(final / SKIPPED_FILE) if skipped else None,
        "left_out": builder.left_out(data_dir),
        "num_off_palette": num_off_palette,
    }


class How(NamedTuple):
    """How shards are written: arguments of `prepare`."""

    skip_bad_files: bool = False
    shard_bytes: int = 64 * 2**20
    num_processes: int = 1
    beam_runner: str | None = None
    beam_options: Any = ()
    on_progress: OnProgress | None = None


class Writable(Protocol):
    """What can be written as a data set: a `SourceBuilder`, or what has these parts of one."""

    data_dir: Any
    num_examples: dict[str, int]

    @property
    def info(self) -> Any:
        """The description, with the features of its records."""

    def reader(self) -> Any:
        """The function that reads the example of an item."""

    def describe(self, splits: Any) -> Any:
        """The description, with what was written of each split."""


def write(
    builder: Writable,
    root: Path,
    data_dir: Path,
    how: How,
    plan: Callable[[Any, int], list[Shard]] | None = None,
    finish: Callable[[Path], None] | None = None,
) -> int:
    """Writes a data set, all of it or nothing. What was there before is replaced at the end.

    Args:
        builder: of the data set.
        root: the folder of its source files.
        data_dir: the folder of prepared data sets, for errors.
        how: how shards are written.
        plan: function of `builder` and `how.shard_bytes` that says what goes into which shard;
            None for `pipelines.prepare.shards.plan_shards`.
        finish: called with the folder of the whole data set, before it takes its place; None for
            nothing more to write.

    Returns:
        The number of its pixels off the palette.

    Raises:
        DataError: if a source file is bad, or `data_dir` cannot be written.
    """
    final = Path(builder.data_dir)
    created = [path for path in (final.parent, *final.parent.parents) if not path.exists()]
    try:
        with journals.opened(final.parent / f".partial-{final.name}") as journal:
            return _write_with(journal, builder, root, how, plan, finish)
    except BaseException as error:
        for directory in created:
            with contextlib.suppress(OSError):
                directory.rmdir()
        if not isinstance(error, OSError):
            raise
        raise ArgumentError(
            "data_dir",
            f"{data_dir} cannot be written "
            f"({error.strerror or type(error).__name__}); make room, or give another --data_dir",
        ) from None


def _write_with(
    journal: journals.Journal, builder: Any, root: Path, how: How, plan: Any, finish: Any
) -> int:
    from pipelines.prepare import shards as writing
    from pipelines.prepare.read_ahead import ReadAhead

    reader = builder.reader()
    shards = (plan or writing.plan_shards)(builder, how.shard_bytes)
    journal.drop_stale({s.name: journals.fingerprint(reader, s.items) for s in shards})
    writer = writing.ShardWriter(journal, reader, builder.info.features, how.skip_bad_files)
    with contextlib.ExitStack() as stack:
        on_progress = how.on_progress or stack.enter_context(progress_bars())
        progress = Progress(builder.num_examples, on_progress)
        if how.beam_runner is None:
            processes = how.num_processes if getattr(builder, "reads_apart", False) else 1
            read = stack.enter_context(ReadAhead(reader, processes))
            for shard in shards:
                writer.write(shard, progress.add, read)
        else:
            stack.enter_context(progress.watch(journal))
            writing.write_through_beam(writer, shards, how.beam_runner, how.beam_options)
    reports = journal.reports()
    skipped = [
        writing.skipped_entry(split, bad, stage="listing")
        for split, bad in getattr(builder, "skipped", ())
    ]
    skipped += [entry for report in reports for entry in report.skipped]
    sources = {
        path: provenance.Stamp(*kept) for report in reports for path, *kept in report.sources
    }
    info = builder.describe(writing.written_splits(journal, shards))
    info.set_file_format("tfrecord")
    with provenance.replacing(Path(builder.data_dir)) as directory:
        for shard in shards:
            journal.link(shard.name, directory)
        if skipped:
            lines = "".join(json.dumps(entry) + "\n" for entry in skipped)
            (directory / SKIPPED_FILE).write_text(lines, encoding="utf-8")
        if sources:
            provenance.write_sources(directory, root, sources)
        info.write_to_directory(directory)
        if finish is not None:
            finish(directory)
    return sum(report.num_off_palette for report in reports)


def _source_files(builder: SourceBuilder) -> list[Path]:
    """Returns the files that a data set is made from."""
    return [
        path
        for items in builder.items().values()
        for item in items
        for path in getattr(item, "paths", ())
    ]


def _check_same_options(builder: SourceBuilder) -> None:
    """Checks that what is prepared holds what the builder would write.

    Raises:
        DataError: if it does not.
    """
    directory = Path(builder.data_dir)
    prepared = open_directory(directory)
    found = {name: split.num_examples for name, split in prepared.info.splits.items()}
    for entry in read_skipped(directory):
        # The builder still counts the files that were skipped on reading.
        if entry["stage"] == "reading":
            found[entry["split"]] = found.get(entry["split"], 0) + 1
    if found != dict(builder.num_examples):
        raise DataError(
            f"{directory}: prepared with {_counts(found)} examples, but the source now has "
            f"{_counts(builder.num_examples)}; {_REMEDY}"
        )
    was, wanted = label_set(prepared), builder.label_set
    # It does not matter where the palette's file was. Older data sets do not tell how files are
    # read.
    known = "files" in (prepared.info.metadata or {})
    files = wanted.files._replace(palette=was.files.palette)
    wanted = wanted._replace(files=files if known else was.files)
    for field in LabelSet._fields:
        if getattr(was, field) != getattr(wanted, field):
            difference = f"with other {field}"
            if field == "files":
                difference = "from label maps that were read with another palette or table of ids"
            if was.num_classes != wanted.num_classes:
                difference = f"with {was.num_classes} classes, not {wanted.num_classes}"
            raise DataError(f"{directory}: prepared {difference}; {_REMEDY}")


def _counts(num_examples: Mapping[str, int]) -> str:
    return " + ".join(f"{count} {split}" for split, count in num_examples.items())
