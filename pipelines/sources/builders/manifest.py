"""TFDS builder for your own data: a list of files."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from pipelines.schema import ArgumentError, BadFileError, DataError
from pipelines.sources.builders.files import FilesBuilder, PairReader, SplitSkips
from pipelines.sources.builders.paired_folder import named_label_set
from pipelines.sources.folders import FOLDERS
from pipelines.sources.label_files import describe_files
from pipelines.sources.listing import find_spelt, lossy_mask, report
from pipelines.sources.pairing import Pair
from pipelines.sources.palettes import Palette
from pipelines.sources.patterns import LOSSY_SUFFIXES
from pipelines.sources.texts import read_lines

WANTED = FOLDERS["manifest"]

_NEEDED = ("image", "label", "split")
_COLUMNS = (*_NEEDED, "instance", "name")
_SPLITS = {
    name: split
    for split, names in {
        "train": ("train", "training"),
        "val": ("val", "valid", "validation", "dev"),
        "test": ("test", "testing"),
    }.items()
    for name in names
}


class Manifest(FilesBuilder):
    """Photographs, label maps and, optionally, instance maps that a file lists.

    A `.csv` file has a first line of column names; a `.jsonl` file has an object a line. Each
    example has `image`, `label` and `split` (train, val or test) and may have `instance` and
    `name`; paths are relative to the file. The files themselves are as for `PairedFolder`.

    Args:
        source_dir: the `.csv` or `.jsonl` file.
        data_dir: the folder of prepared data sets.
        num_classes: int, 1 to 65535. Default: the number of `class_names`, or of the palette.
        class_names: names of the ids `0..num_classes-1`. Default: the lines of `classes.txt`
            beside the file if there is one, then the palette's, otherwise `class 0` and so on.
        has_unknown: whether unknown pixels are allowed. Default True.
        palette: how the colours of label maps are read; None where they hold ids.
        off_palette_unknown: whether colours off the palette become unknown; default: an error.
        palette_indices: whether label maps with palettes of their own hold ids as indices.
        skip_bad_files: whether files that are not there are left out and listed.

    Attributes:
        label_set: the `LabelSet` of the source.
        num_examples: number of examples by split.
        skipped: split and error of each file that was left out when files were listed.

    Raises:
        DataError: if the file cannot be read as such, files are missing, or the classes are not
            given.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        source_dir: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None = None,
        num_classes: int | None = None,
        class_names: Sequence[str] | None = None,
        has_unknown: bool = True,
        palette: Palette | None = None,
        off_palette_unknown: bool = False,
        palette_indices: bool = False,
        skip_bad_files: bool = False,
        **kwargs: Any,
    ) -> None:
        self.skipped = SplitSkips()
        path = Path(source_dir).expanduser()
        pairs = _find_pairs(path, self.skipped, skip_bad_files)
        label_set, palette = named_label_set(
            classes_file=path.parent / "classes.txt",
            pairs=[*pairs.get("val", ()), *pairs["train"]],
            num_classes=num_classes,
            class_names=class_names,
            has_unknown=has_unknown,
            palette=palette,
        )
        super().__init__(
            pairs=pairs,
            pair_reader=PairReader(
                label_set._replace(
                    files=describe_files(
                        palette, off_palette_unknown, palette_indices=palette_indices
                    )
                )
            ),
            description="Photographs with label maps from a list.",
            data_dir=data_dir,
            **kwargs,
        )


def _find_pairs(path: Path, skipped: SplitSkips, skip_bad_files: bool) -> dict[str, list[Pair]]:
    pairs: dict[str, list[Pair]] = {}
    names: dict[tuple[str, str], int] = {}
    has_instance: bool | None = None
    for line, row in _rows(path):
        unknown = [key for key in row if key not in _COLUMNS]
        missing = [key for key in _NEEDED if not row.get(key)]
        if missing or unknown:
            what = f"no {missing[0]}" if missing else f"{unknown[0]!r}, which is no column"
            raise DataError(f"{path}: line {line} has {what}; what is wanted: {WANTED}")
        split = _SPLITS.get(row["split"].lower(), "")
        if not split:
            raise DataError(
                f"{path}: line {line} has split {row['split']!r}; give one of train, val, test"
            )
        if has_instance is None:
            has_instance = bool(row.get("instance"))
        if has_instance != bool(row.get("instance")):
            raise DataError(
                f"{path}: line {line} has {'no' if has_instance else 'an'} instance map, unlike "
                "the lines before; give one for all of them or for none"
            )
        image, label = (_locate(path.parent, row[key]) for key in ("image", "label"))
        instance = _locate(path.parent, row["instance"]) if has_instance else None
        name = row.get("name") or Path(row["image"].replace("\\", "/")).with_suffix("").as_posix()
        first = names.setdefault((split, name), line)
        try:
            if first != line:
                raise BadFileError(
                    image,
                    "duplicate stem",
                    f"line {line} of {path} has the same name as line {first}; remove one of them",
                )
            for mask in (label, instance):
                if mask is not None and mask.suffix.lower() in LOSSY_SUFFIXES:
                    raise lossy_mask(mask)
            for listed in (image, label, instance):
                if listed is not None and not listed.is_file():
                    raise BadFileError(
                        listed,
                        "missing file",
                        f"no such file, though line {line} of {path} names it; add it or remove "
                        "the line",
                    )
        except BadFileError as bad:
            report(bad, skipped.of(split, skip_bad_files))
            continue
        pairs.setdefault(split, []).append(Pair(name, image, label, instance))
    if "train" not in pairs:
        raise DataError(f"{path}: no usable example of split train in it; {WANTED}")
    return pairs


def _locate(folder: Path, text: str) -> Path:
    """Returns the file that a path in the list means, whether it is there or not."""
    if text[:1] == text[-1:] and text[:1] in ("'", '"'):
        text = text[1:-1]
    path = folder / Path(text).expanduser()
    if path.exists():
        return path
    # Lists are written on other systems: with other separators, case and Unicode forms.
    return find_spelt(folder, text.replace("\\", "/")) or path


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Returns the examples of the file and the lines that they are on."""
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv", ".jsonl"):
        raise ArgumentError("source_dir", f"{path} received; what is wanted: {WANTED}")
    lines = read_lines(path, f"what is wanted: {WANTED}")
    rows: list[tuple[int, dict[str, str]]] = []
    if suffix != ".jsonl":
        # Spreadsheets separate by what their country does not write decimals with.
        separator = max(",;\t", key=lines[0].count)
        reader = csv.DictReader(
            lines, restkey="another column", restval="", delimiter=separator, skipinitialspace=True
        )
        for row in reader:
            cells = {str(key).strip().lower(): str(value).strip() for key, value in row.items()}
            if any(cells.values()):
                rows.append((reader.line_num, cells))
        return rows
    for line, content in enumerate(lines, start=1):
        if not content.strip():
            continue
        try:
            entry = json.loads(content)
            cells = {key: value for key, value in entry.items() if value is not None}
            if not all(isinstance(value, str) for value in cells.values()):
                raise ValueError
        except (ValueError, AttributeError):
            raise DataError(
                f"{path}: line {line} is no JSON object of texts; what is wanted: {WANTED}"
            ) from None
        rows.append((line, cells))
    return rows
