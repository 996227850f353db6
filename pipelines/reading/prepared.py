"""Opens data sets that have been prepared."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.schema import ArgumentError, DataError, LabelSet

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

SKIPPED_FILE = "skipped.jsonl"

_CANVASES = "_canvases"


def canvases_name(dataset: str) -> str:
    """The name of the data set that `compose` makes of one: `landscapes_canvases/64x64`.

    Args:
        dataset: its name, such as `"landscapes/64x64"`.
    """
    name, slash, configuration = dataset.partition("/")
    return f"{name}{_CANVASES}{slash}{configuration}"


def without_canvases(dataset: str) -> str:
    """The name of the data set that one with canvases was made of; of another, its own.

    Args:
        dataset: its name, such as `"landscapes_canvases/64x64"`.
    """
    name, slash, configuration = dataset.partition("/")
    return f"{name.removesuffix(_CANVASES)}{slash}{configuration}"


def open_dataset(dataset: str, data_dir: str | os.PathLike[str]) -> tfds.core.DatasetBuilder:
    """Opens a data set that has been prepared, from its directory alone.

    Args:
        dataset: its name, such as `"paired_folder"` or `"landscapes"`. Add the configuration after
            a slash (`"landscapes/128x128"`) where several have been prepared.
        data_dir: the folder of prepared data sets.

    Returns:
        A TFDS builder to read from. Of several versions, the latest is taken.

    Raises:
        DataError: if the data set is not there, is damaged, or if several fit the name.
    """
    return open_directory(find_dataset(dataset, data_dir))


def find_dataset(dataset: str, data_dir: str | os.PathLike[str]) -> Path:
    """Returns the version directory that `open_dataset` opens. Nothing in it is read.

    Args:
        dataset: as of `open_dataset`.
        data_dir: as of `open_dataset`.

    Raises:
        DataError: if the data set is not there, or if several fit the name.
    """
    data_dir = Path(data_dir).expanduser()
    found = version_directories(data_dir / dataset)
    if not found:
        name, _, configuration = dataset.partition("/")
        remedy = f"run the command {_command(name, configuration)} --data_dir={data_dir}"
        if others := _names(version_directories(data_dir / name), data_dir):
            remedy = f"give {' or '.join(others)}, or {remedy}"
        raise ArgumentError("data_dir", f"no {dataset} prepared in {data_dir}; {remedy}")
    names = _names(found, data_dir)
    if len(names) > 1:
        raise ArgumentError(
            "dataset", f"{dataset!r} is prepared more than once; give {' or '.join(names)}"
        )
    return found[-1]


def _command(name: str, configuration: str) -> str:
    """What makes a data set."""
    if name.endswith(_CANVASES):
        dataset = f"{name}/{configuration}" if configuration else name
        return f"compose --dataset={without_canvases(dataset)}"
    return f"prepare --dataset={name}" + (
        f" --config_name={configuration}" if configuration else ""
    )


def _names(directories: Sequence[Path], data_dir: Path) -> list[str]:
    """Returns what `open_dataset` calls the data sets in these version directories."""
    return sorted({path.parent.relative_to(data_dir).as_posix() for path in directories})


def version_directories(root: Path) -> list[Path]:
    """Returns `root/VERSION` and `root/CONFIG/VERSION` of prepared data sets, the latest last."""
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
        DataError: if its descriptions cannot be read, or shards are missing.
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


def read_label_set(directory: Path) -> LabelSet:
    """Returns the label set of the data set in one version directory, from its JSON file alone.

    Raises:
        DataError: if it cannot be read.
    """
    path = directory / "metadata.json"
    try:
        return LabelSet.from_metadata(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: cannot be read ({type(error).__name__}); remove {directory} and prepare the "
            "data set again"
        ) from error


def label_set(builder: tfds.core.DatasetBuilder) -> LabelSet:
    """Returns the label set that was stored with a data set.

    Args:
        builder: as returned by `open_dataset`.

    Raises:
        DataError: if there is none.
    """
    return LabelSet.from_metadata(builder.info.metadata or {})


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
