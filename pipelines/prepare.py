"""Prepares data sets: source files in, TFRecord shards out; and opens what has been prepared."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import logging

from pipelines.schema import DataError, LabelSet

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

DATASETS = ("paired_folder", "landscapes")

OnProgress = Callable[[str, int, int | None], None]


def prepare(
    dataset: str,
    *,
    data_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    height: int | None = None,
    width: int | None = None,
    num_train: int | None = None,
    num_val: int | None = None,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Writes a data set as TFRecord shards, all of it or nothing.

    What has been prepared already is left as it is, provided that it holds what is asked for.
    No network is used.

    Args:
        dataset: `"paired_folder"`, which reads `source_dir` and takes `num_classes` and
            `class_names`, or `"landscapes"`, which is drawn and takes `height`, `width`,
            `num_train`, `num_val` and `seed`.
        data_dir: the folder that prepared data sets are kept in.
        source_dir: the folder that holds the source files.
        num_classes: number of classes, unknown not counted.
        class_names: their names, id 0 first.
        height: in pixels.
        width: in pixels.
        num_train: number of examples to train on.
        num_val: number of examples to evaluate on.
        seed: int, what is drawn is a function of it.
        on_progress: called with the split, the number of its examples done, and the number there
            will be (None if that is not known). Default: a progress bar on standard error.

    Returns:
        A dictionary: `dataset`, `path`, `num_examples` and `num_shards` by split, `num_bytes`,
        `seconds`, and `already_prepared`.

    Raises:
        DataError: if an argument or a source file is bad, if `data_dir` cannot be written, or if
            another source has been prepared in the same place.
    """
    start = time.monotonic()
    data_dir = Path(data_dir).expanduser()
    # TFDS reads what is there on construction, and says little about what is wrong with it.
    for directory in _prepared_directories(data_dir / dataset):
        open_directory(directory)
    if dataset == "paired_folder":
        builder = _paired_folder(
            source_dir=source_dir,
            data_dir=data_dir,
            num_classes=num_classes,
            class_names=class_names,
        )
    elif dataset == "landscapes":
        builder = _landscapes(
            data_dir=data_dir,
            height=height,
            width=width,
            num_train=num_train,
            num_val=num_val,
            seed=seed,
        )
    else:
        raise DataError(f"dataset: {dataset!r} received; give one of {', '.join(DATASETS)}")

    already_prepared = Path(builder.data_dir).exists()
    if already_prepared:
        _check_unchanged(builder)
        logging.info("%s: already prepared in %s", dataset, builder.data_dir)
    else:
        _write(builder, data_dir, on_progress)
    splits = open_directory(Path(builder.data_dir)).info.splits
    return {
        "dataset": dataset,
        "path": str(builder.data_dir),
        "num_examples": {name: split.num_examples for name, split in splits.items()},
        "num_shards": {name: split.num_shards for name, split in splits.items()},
        "num_bytes": sum(split.num_bytes for split in splits.values()),
        "seconds": time.monotonic() - start,
        "already_prepared": already_prepared,
    }


def _paired_folder(
    *,
    source_dir: str | os.PathLike[str] | None,
    data_dir: str | os.PathLike[str],
    num_classes: int | None,
    class_names: Sequence[str] | None,
) -> Any:
    from pipelines.builders.paired_folder import LAYOUT, PairedFolder

    if source_dir is None:
        raise DataError(f"source_dir: not given; pass --source_dir=DIR with the layout {LAYOUT}")
    return PairedFolder(
        source_dir=source_dir, data_dir=data_dir, num_classes=num_classes, class_names=class_names
    )


def _landscapes(*, data_dir: str | os.PathLike[str], seed: int, **sizes: int | None) -> Any:
    from pipelines.builders.landscapes import Landscapes

    given: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
    return Landscapes(data_dir=data_dir, seed=seed, **given)


def _write(builder: Any, data_dir: Path, on_progress: OnProgress | None) -> None:
    import tensorflow_datasets as tfds

    created = _missing_directories(Path(builder.data_dir).parent)
    try:
        with contextlib.ExitStack() as stack:
            _report_progress(builder, on_progress or stack.enter_context(_progress_bars()))
            # TFDS makes its folder for downloads even for a data set that has none.
            downloads = stack.enter_context(tempfile.TemporaryDirectory())
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            tfds.disable_progress_bar()
            stack.callback(tfds.enable_progress_bar)
            builder.download_and_prepare(
                download_dir=downloads,
                download_config=tfds.download.DownloadConfig(try_download_gcs=False),
            )
    except BaseException as error:
        # TFDS has removed what it wrote of the data set, but not the folders around it.
        for directory in created:
            shutil.rmtree(directory / ".config", ignore_errors=True)
            with contextlib.suppress(OSError):
                directory.rmdir()
        if not isinstance(error, OSError):
            raise
        raise DataError(
            f"data_dir: {data_dir} cannot be written ({error.strerror or type(error).__name__}); "
            "make room, or give another --data_dir"
        ) from None


def _missing_directories(directory: Path) -> list[Path]:
    """Returns `directory` and those of its parents that do not exist, innermost first."""
    return [path for path in (directory, *directory.parents) if not path.exists()]


def _report_progress(builder: Any, on_progress: OnProgress) -> None:
    # TFDS's own bar cannot know the number of examples before they are written.
    split_generators = builder._split_generators
    expected: Mapping[str, int] = builder.num_examples

    def counted(split: str, examples: Iterator[Any]) -> Iterator[Any]:
        for done, example in enumerate(examples, start=1):
            yield example
            on_progress(split, done, expected.get(split))

    builder._split_generators = lambda dl_manager: {
        split: counted(split, examples) for split, examples in split_generators(dl_manager).items()
    }


@contextlib.contextmanager
def _progress_bars() -> Iterator[OnProgress]:
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def advance(split: str, done: int, total: int | None) -> None:
        if split not in bars:
            bars[split] = tqdm(desc=split, total=total, unit=" examples")
        bars[split].update(done - bars[split].n)

    try:
        yield advance
    finally:
        for bar in bars.values():
            bar.close()


def _check_unchanged(builder: Any) -> None:
    prepared = open_directory(Path(builder.data_dir))
    found = {name: split.num_examples for name, split in prepared.info.splits.items()}
    remedy = f"give another --data_dir, or remove {builder.data_dir} to prepare it again"
    if found != dict(builder.num_examples):
        raise DataError(
            f"{builder.data_dir}: prepared with {_counts(found)} examples, but the source now has "
            f"{_counts(builder.num_examples)}; {remedy}"
        )
    was, wanted = label_set(prepared), builder.label_set
    for field in LabelSet._fields:
        if getattr(was, field) != getattr(wanted, field):
            difference = f"with other {field}"
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
        remedy = f"run python run.py prepare --dataset={name} --data_dir={data_dir}"
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
