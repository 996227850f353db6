"""Prepares data sets: source files in, TFRecord shards out; and opens what has been prepared."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import logging

from pipelines.schema import DataError, LabelSet
from pipelines.sources import provenance
from pipelines.sources.builders import journal as journals
from pipelines.sources.builders.journal import Journal
from pipelines.sources.catalogue import DATASETS, make_builder
from pipelines.sources.palettes import palette_options

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

    from pipelines.sources.builders.sharded import ShardedBuilder

__all__ = [
    "DATASETS",
    "label_set",
    "open_dataset",
    "open_directory",
    "prepare",
]

OnProgress = Callable[[str, int, int | None], None]

SKIPPED_FILE = "skipped.jsonl"

_SECONDS_BETWEEN_LOOKS = 0.5
_REMEDY = "pass --overwrite to prepare it anew, or give another --data_dir"


def prepare(
    dataset: str,
    *,
    data_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    config: str | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    palette: str | os.PathLike[str] | None = None,
    off_palette: str = "stop",
    image_files: str | None = None,
    label_files: str | None = None,
    instance_files: str | None = None,
    segmenter: str | os.PathLike[str] | None = None,
    segmenter_scale: float | None = None,
    segmenter_offset: float | None = None,
    height: int | None = None,
    width: int | None = None,
    num_train: int | None = None,
    num_val: int | None = None,
    seed: int = 0,
    on_bad_file: str = "stop",
    overwrite: bool = False,
    shard_bytes: int = 64 * 2**20,
    beam_runner: str | None = None,
    beam_options: Sequence[str] = (),
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Writes a data set as TFRecord shards, all of it or nothing.

    What has been prepared already is left as it is, provided that it holds what is asked for and
    was made from the files as they are now (`pipelines.sources.provenance` says how that is told).
    Killed in the middle, or interrupted, the same call goes on after the last finished shard, if
    its files are still the same. No network is used.

    Args:
        dataset: one of `DATASETS`.
        data_dir: the folder that prepared data sets are kept in.
        source_dir: the folder that holds the source files (`LAYOUTS` of pipelines.sources.folders
            says how they lie); for `"manifest"`, the file that lists them.
        config: which configuration of the data set, such as `"outdoor"` of `"ade20k"`.
        num_classes: number of classes, unknown not counted, of one's own data.
        class_names: their names, id 0 first.
        palette: where label maps hold colours: one of `PALETTES` of pipelines.sources.palettes, or
            a file; `"indices"` where they have palettes of their own, whose indices are the ids.
        off_palette: `"stop"` to refuse colours off the palette, `"unknown"` to take them for
            unknown and count them.
        image_files: pattern of photographs of `"paired_folder"`; see pipelines.sources.listing.
        label_files: likewise, of the label maps.
        instance_files: likewise, of the instance maps.
        segmenter: the network that labels `"flickr_landscapes"`.
        segmenter_scale: what pixels are multiplied by for it.
        segmenter_offset: what is added after that.
        height: in pixels, of `"landscapes"`.
        width: in pixels, of `"landscapes"`.
        num_train: number of examples to train on, of `"landscapes"`.
        num_val: number of examples to evaluate on, of `"landscapes"`.
        seed: int, what is drawn is a function of it.
        on_bad_file: `"stop"` at the first bad file, or `"skip"` and list them all in
            `skipped.jsonl` beside the shards.
        overwrite: whether a data set that is there already is prepared anew. Until that is done,
            the old one is kept.
        shard_bytes: about how large the shards are.
        beam_runner: name of the Apache Beam runner that writes the shards, such as
            `"DirectRunner"`; None to write them one after the other.
        beam_options: options of the runner, such as `"direct_num_workers=2"`. With runners on
            other machines, source and data folders must be on a file system that all of them see.
        on_progress: called with the split, the number of its examples done, and the number there
            will be. Default: a progress bar on standard error.

    Returns:
        A dictionary: `dataset`, `path`, `num_examples` and `num_shards` by split, `num_bytes`,
        `seconds`, `already_prepared`, `sources_known` (False for a data set of an earlier version,
        for which changes of files cannot be told), `skipped` (number of files by kind),
        `skipped_file` (path or None), `left_out` (the files under `source_dir` that are no part of
        the data set, relative to it) and `num_off_palette` (pixels).

    Raises:
        DataError: if an argument or a source file is bad, if `data_dir` cannot be written, or if
            another source, or other files, have been prepared in the same place.
    """
    start = time.monotonic()
    for name, value, choices in (
        ("on_bad_file", on_bad_file, ("stop", "skip")),
        ("off_palette", off_palette, ("stop", "unknown")),
    ):
        if value not in choices:
            raise DataError(f"{name}: {value!r} received; give {' or '.join(choices)}")
    if shard_bytes < 1:
        raise DataError(f"shard_bytes: {shard_bytes} received; give 1 or more")
    pipeline_options = _beam_options(beam_runner, beam_options)
    data_dir = Path(data_dir).expanduser()
    # TFDS reads what is there on construction, and says little about what is wrong with it.
    for directory in _prepared_directories(data_dir / dataset):
        open_directory(directory)
    make = functools.partial(
        make_builder,
        dataset,
        data_dir=data_dir,
        source_dir=source_dir,
        options={
            "config": config,
            "num_classes": num_classes,
            "class_names": class_names,
            **palette_options(palette),
            "image_files": image_files,
            "label_files": label_files,
            "instance_files": instance_files,
            "off_palette_unknown": True if off_palette == "unknown" else None,
            "segmenter": segmenter,
            "segmenter_scale": segmenter_scale,
            "segmenter_offset": segmenter_offset,
            "height": height,
            "width": width,
            "num_train": num_train,
            "num_val": num_val,
            "seed": seed or None,
            "skip_bad_files": True if on_bad_file == "skip" and dataset != "landscapes" else None,
        },
    )

    builder = make()
    final = Path(builder.data_dir)
    provenance.move_back(final)
    files = _source_files(builder)
    root = Path(source_dir or "").expanduser().absolute()
    root = root if root.is_dir() else root.parent
    already_prepared = final.exists() and not overwrite
    sources_known = True
    if already_prepared:
        _check_same_options(builder)
        sources_known = provenance.check_sources(final, root, files, _REMEDY) or not files
        logging.info("%s: already prepared in %s", dataset, final)
    else:
        with provenance.moved_away(final) if final.exists() else contextlib.nullcontext():
            # TFDS takes over what it finds on construction.
            writing = _Written(make(), data_dir, on_bad_file == "skip", shard_bytes)
            writing.write(on_progress, beam_runner, pipeline_options)
            if writing.sources:
                provenance.write_sources(final, root, writing.sources)
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
        "num_off_palette": 0 if already_prepared else writing.num_off_palette,
    }


def _beam_options(beam_runner: str | None, beam_options: Sequence[str]) -> Any:
    if beam_runner is None:
        if beam_options:
            raise DataError(
                f"beam_options: {', '.join(beam_options)} received without a runner; pass "
                "--beam_runner=DirectRunner, or leave them out"
            )
        return None
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise DataError(
            f"beam_runner: {beam_runner!r} received, but Apache Beam is not installed; pip install "
            "'spade-tf[prepare]', or leave it out"
        ) from None
    return PipelineOptions([f"--{option.removeprefix('--')}" for option in beam_options])


class _Written:
    """One data set as it is written."""

    def __init__(
        self, builder: ShardedBuilder, data_dir: Path, skip_bad_files: bool, shard_bytes: int
    ) -> None:
        self._builder = builder
        self._data_dir = data_dir
        self._final = Path(builder.data_dir)
        self._skip_bad_files = skip_bad_files
        self._shard_bytes = shard_bytes
        self.num_off_palette = 0
        self.sources: dict[str, provenance.Stamp] = {}

    def write(
        self, on_progress: OnProgress | None, beam_runner: str | None, beam_options: Any
    ) -> None:
        parent = self._final.parent
        created = _missing_directories(parent)
        try:
            with journals.opened(parent / f".partial-{self._final.name}") as journal:
                self._write(journal, on_progress, beam_runner, beam_options)
        except BaseException as error:
            # TFDS has removed what it wrote of the data set, but not the folders around it.
            for directory in created:
                shutil.rmtree(directory / ".config", ignore_errors=True)
                with contextlib.suppress(OSError):
                    directory.rmdir()
            if not isinstance(error, OSError):
                raise
            raise DataError(
                f"data_dir: {self._data_dir} cannot be written "
                f"({error.strerror or type(error).__name__}); make room, or give another --data_dir"
            ) from None

    def _write(
        self,
        journal: Journal,
        on_progress: OnProgress | None,
        beam_runner: str | None,
        beam_options: Any,
    ) -> None:
        import tensorflow_datasets as tfds

        from pipelines.sources.builders.sharded import Writing, skipped_entry

        builder = self._builder
        builder.writing = Writing(journal, self._skip_bad_files, self._shard_bytes)
        journal.drop_stale(builder.fingerprints() if journal.reports() else {})
        # Left by a process that was killed: TFDS removes its own on any other end.
        for left in self._final.parent.glob(f"incomplete.*_{self._final.name}"):
            shutil.rmtree(left, ignore_errors=True)
        try:
            with contextlib.ExitStack() as stack:
                tell = _Progress(
                    builder.num_examples, on_progress or stack.enter_context(_progress_bars())
                )
                if beam_runner is None:
                    builder.writing = builder.writing._replace(on_progress=tell.add)
                else:
                    stack.enter_context(_watched(journal, tell))
                # TFDS makes its folder for downloads even for a data set that has none.
                downloads = stack.enter_context(tempfile.TemporaryDirectory())
                stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
                tfds.disable_progress_bar()
                stack.callback(tfds.enable_progress_bar)
                builder.download_and_prepare(
                    download_dir=downloads,
                    download_config=tfds.download.DownloadConfig(
                        try_download_gcs=False, beam_runner=beam_runner, beam_options=beam_options
                    ),
                )
        except Exception:
            # Through Beam, the error comes home as a text with the traceback of a worker.
            if (bad := journal.read_error()) is not None:
                raise bad from None
            raise
        reports = journal.reports()
        self.num_off_palette = sum(report.num_off_palette for report in reports)
        self.sources = {
            path: provenance.Stamp(*kept) for report in reports for path, *kept in report.sources
        }
        skipped = [
            skipped_entry(split, bad, stage="listing")
            for split, bad in getattr(builder, "skipped", ())
        ]
        skipped += [entry for report in reports for entry in report.skipped]
        if skipped:
            _write_skipped(self._final / SKIPPED_FILE, skipped)


def _write_skipped(path: Path, skipped: Sequence[Mapping[str, str]]) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_text("".join(json.dumps(entry) + "\n" for entry in skipped), encoding="utf-8")
    os.replace(temporary, path)


def read_skipped(directory: Path) -> list[dict[str, str]]:
    """Returns the files that were left out of a prepared data set.

    Args:
        directory: its version directory.

    Returns:
        `split`, `file`, `kind`, `stage` (listing or reading) and `reason` of each.
    """
    try:
        lines = (directory / SKIPPED_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def _missing_directories(directory: Path) -> list[Path]:
    """Returns `directory` and those of its parents that do not exist, innermost first."""
    return [path for path in (directory, *directory.parents) if not path.exists()]


class _Progress:
    """Counts what is done."""

    def __init__(self, expected: Mapping[str, int], on_progress: OnProgress) -> None:
        self._expected = expected
        self._on_progress = on_progress
        self._done: Counter[str] = Counter()

    def add(self, split: str, count: int) -> None:
        self.set(split, self._done[split] + count)

    def set(self, split: str, done: int) -> None:
        if done != self._done[split]:
            self._done[split] = done
            self._on_progress(split, done, self._expected.get(split))


@contextlib.contextmanager
def _watched(journal: Journal, tell: _Progress) -> Iterator[None]:
    """Tells the progress of processes that cannot: by the shards that they have finished."""
    over = threading.Event()

    def look() -> None:
        done: Counter[str] = Counter()
        for report in journal.reports():
            done[report.split] += report.num_examples + len(report.skipped)
        for split, count in done.items():
            tell.set(split, count)

    def watch() -> None:
        while not over.wait(_SECONDS_BETWEEN_LOOKS):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
        look()
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def _progress_bars() -> Iterator[OnProgress]:
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def advance(split: str, done: int, total: int | None) -> None:
        if split not in bars:
            # Where there is no terminal, every refresh is a line in somebody's log.
            interval = 0.1 if sys.stderr.isatty() else 30
            bars[split] = tqdm(desc=split, total=total, unit=" examples", mininterval=interval)
        bars[split].update(done - bars[split].n)

    try:
        yield advance
    finally:
        for bar in bars.values():
            bar.close()


def _source_files(builder: ShardedBuilder) -> list[Path]:
    """Returns the files that a data set is made from."""
    return [
        path
        for items in builder.items().values()
        for item in items
        for path in getattr(item, "paths", ())
    ]


def _check_same_options(builder: Any) -> None:
    prepared = open_directory(Path(builder.data_dir))
    found = {name: split.num_examples for name, split in prepared.info.splits.items()}
    for entry in read_skipped(Path(builder.data_dir)):
        # What was left out on reading, the builder still counts.
        if entry["stage"] == "reading":
            found[entry["split"]] = found.get(entry["split"], 0) + 1
    remedy = _REMEDY
    if found != dict(builder.num_examples):
        raise DataError(
            f"{builder.data_dir}: prepared with {_counts(found)} examples, but the source now has "
            f"{_counts(builder.num_examples)}; {remedy}"
        )
    was, wanted = label_set(prepared), builder.label_set
    # Where the palette's file was does not matter, and older data sets do not tell how they read.
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
            raise DataError(f"{builder.data_dir}: prepared {difference}; {remedy}")


def _counts(num_examples: Mapping[str, int]) -> str:
    return " + ".join(f"{count} {split}" for split, count in num_examples.items())


def open_dataset(dataset: str, data_dir: str | os.PathLike[str]) -> tfds.core.DatasetBuilder:
    """Opens a data set that has been prepared, from its directory alone.

    Args:
        dataset: its name, such as `"paired_folder"` or `"landscapes"`, with the configuration
            after a slash (`"landscapes/128x128"`) where several have been prepared.
        data_dir: the folder that prepared data sets are kept in.

    Returns:
        A TFDS builder to read from; of several versions, the latest.

    Raises:
        DataError: if the data set is not there, is damaged, or if several fit the name.
    """
    data_dir = Path(data_dir).expanduser()
    found = _prepared_directories(data_dir / dataset)
    if not found:
        name = dataset.partition("/")[0]
        remedy = f"run the command prepare --dataset={name} --data_dir={data_dir}"
        if others := _names(_prepared_directories(data_dir / name), data_dir):
            remedy = f"give {' or '.join(others)}, or {remedy}"
        raise DataError(f"data_dir: no {dataset} prepared in {data_dir}; {remedy}")
    names = _names(found, data_dir)
    if len(names) > 1:
        raise DataError(
            f"dataset: {dataset!r} is prepared more than once; give {' or '.join(names)}"
        )
    return open_directory(found[-1])


def _names(directories: Sequence[Path], data_dir: Path) -> list[str]:
    """Returns what `open_dataset` calls the data sets in these version directories."""
    return sorted({path.parent.relative_to(data_dir).as_posix() for path in directories})


def _prepared_directories(root: Path) -> list[Path]:
    """Returns `root/VERSION` and `root/CONFIG/VERSION`, the latest version of each last."""
    found = [
        path.parent
        for pattern in ("*/dataset_info.json", "*/*/dataset_info.json")
        for path in root.glob(pattern)
        if all(part.isdecimal() for part in path.parent.name.split("."))
    ]
    return sorted(found, key=lambda path: [int(part) for part in path.name.split(".")])


def open_directory(directory: Path) -> tfds.core.DatasetBuilder:
    """Opens the data set in one version directory.

    Raises:
        DataError: if the directory is damaged: descriptions unreadable, or shards missing.
    """
    import tensorflow_datasets as tfds

    remedy = f"remove {directory} and prepare the data set again"
    try:
        builder = tfds.builder_from_directory(directory)
    except Exception as error:
        # Which exception a damaged description gives depends on where the damage is.
        raise DataError(
            f"{directory}: not a prepared data set ({type(error).__name__}); {remedy}"
        ) from None
    for split in builder.info.splits.values():
        for shard in split.filepaths:
            if not shard.exists():
                raise DataError(f"{shard}: shard missing; {remedy}")
    return builder


def label_set(builder: tfds.core.DatasetBuilder) -> LabelSet:
    """Returns the label set that was stored with a data set.

    Args:
        builder: as returned by `open_dataset`.

    Raises:
        DataError: if there is none.
    """
    return LabelSet.from_metadata(builder.info.metadata or {})
