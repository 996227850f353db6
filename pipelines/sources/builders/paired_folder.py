"""TFDS builder for your own data: folders of photographs and label maps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from pipelines import schema
from pipelines.schema import ArgumentError, DataError, LabelSet
from pipelines.sources import guessing, inspection, pairing, pictures
from pipelines.sources.builders.files import FilesBuilder, PairReader, SplitSkips, source_folder
from pipelines.sources.folders import FOLDERS
from pipelines.sources.label_files import describe_files
from pipelines.sources.listing import SourceFiles
from pipelines.sources.pairing import Pair
from pipelines.sources.palettes import Palette

WANTED = FOLDERS["paired_folder"]

# Where files of each kind lie; see `pipelines.sources.patterns`.
PATTERNS = {
    "image": "{split}_img/*",
    "label": "{split}_label/*",
    "instance": "{split}_inst/*",
    "condition": "{split}_cond/*",
}


class PairedFolder(FilesBuilder):
    """Photographs, label maps and, optionally, instance maps from a folder of folders.

    The layout is `{train,val}_{img,label,inst}/`, with folders in them if there are many files;
    files of one example share their name. Other layouts are given as patterns
    (pipelines.sources.patterns), in which `{split}` is train or val, or another common name.

    Label maps hold the class ids, where 255 (65535 if there are more than 255 classes) means
    unknown and is stored as id `num_classes`; or, with a palette, colours. Instance maps may hold
    any values or colours. With `{train,val}_cond/` in place of `_label/`, there are continuous maps
    instead of ids: greyscale of 8 or 16 bits, RGB or RGBA. Pairing is checked on construction, the
    content of each file as it is stored.

    Args:
        source_dir: the folder that holds `train_img/`, `train_label/` and so on.
        data_dir: the folder of prepared data sets.
        num_classes: int, 1 to 65535. Default: the number of `class_names`, or of the palette.
        class_names: names of the ids `0..num_classes-1`. Default: the lines of `classes.txt` in
            `source_dir` if there is one, then the palette's, otherwise `class 0` and so on.
        has_unknown: whether unknown pixels are allowed. Default True.
        palette: how the colours of label maps are read; None where they hold ids.
        off_palette_unknown: whether colours off the palette become unknown; default: an error.
        palette_indices: whether label maps with palettes of their own hold ids as indices.
        image_files: pattern of the photographs. Default `{split}_img/*`.
        label_files: pattern of the label maps. Default `{split}_label/*`.
        instance_files: pattern of the instance maps. Default `{split}_inst/*`, if there are any.
        skip_bad_files: whether files without counterpart are left out and listed.

    Attributes:
        label_set: the `LabelSet` of the source.
        num_examples: number of pairs by split.
        skipped: split and error of each file that was left out when files were listed.

    Raises:
        DataError: if folders or files are missing or unmatched, or the classes are not given.
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
        image_files: str | None = None,
        label_files: str | None = None,
        instance_files: str | None = None,
        skip_bad_files: bool = False,
        **kwargs: Any,
    ) -> None:
        self.skipped = SplitSkips()
        patterns = {"image": image_files, "label": label_files, "instance": instance_files}
        given = {kind: pattern for kind, pattern in patterns.items() if pattern is not None}
        files = SourceFiles(source_folder(source_dir, WANTED), WANTED, None if given else _advise)
        pairs = find_splits(files, PATTERNS | given, self.skipped, skip_bad_files)
        first = pairs["train"][0]
        if first.condition is not None:
            _, shape, condition_bits = pictures.read_condition(first.condition)
            label_set = LabelSet((), (), False, first.instance is not None, shape[2])
        else:
            condition_bits = 8
            label_set, palette = named_label_set(
                classes_file=files.root / "classes.txt",
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
            description="Photographs with label maps from a folder.",
            data_dir=data_dir,
            condition_bits=condition_bits,
            source_files=files,
            **kwargs,
        )


def _advise(names: Sequence[str]) -> str:
    """Says which flags would find the files, if names of folders or files tell."""
    found = guessing.guess_patterns(names)
    if not found or found.items() <= PATTERNS.items():
        return ""
    flags = " ".join(f"--{kind}_files='{pattern}'" for kind, pattern in found.items())
    return f"if these are the photographs and their maps, pass {flags}"


def find_splits(
    files: SourceFiles,
    patterns: Mapping[str, str],
    skipped: SplitSkips,
    skip_bad_files: bool,
) -> dict[str, list[Pair]]:
    """Finds the pairs of each split.

    Args:
        files: where to look.
        patterns: of `image` and `label`, and where maybe `instance` and `condition` files lie;
            `{split}` in them is the name of a split. Without it all files are for training.
        skipped: the list that files that are left out are added to.
        skip_bad_files: whether bad files are left out.

    Raises:
        DataError: if folders or files are missing or unmatched.
    """

    def located(kind: str, split: str) -> tuple[str, bool]:
        """The pattern of a split, and whether there is its folder."""
        candidates = [
            patterns[kind].replace("{split}", name) for name in guessing.SPLIT_FOLDERS[split]
        ]
        there = [pattern for pattern in candidates if files.folder(pattern).is_dir()]
        return (there or candidates)[0], bool(there)

    main = [kind for kind in ("image", "label", "condition") if kind in patterns]
    splits = ["train"]
    if "{split}" in patterns["image"] and any(located(kind, "val")[1] for kind in main):
        splits.append("val")
    present = {
        kind: any(located(kind, split)[1] for split in splits)
        for kind in ("label", "instance", "condition")
        if kind in patterns
    }
    if present.get("condition") and present["label"]:
        raise DataError(
            f"{files.root}: both label and cond folders in it; ids and continuous maps exclude "
            "each other, move one of them away"
        )
    wanted = {"image", "label", "instance", "condition"}
    wanted -= {"label"} if present.get("condition") else {"condition"}
    wanted -= set() if present.get("instance") else {"instance"}
    return {
        split: pairing.find_pairs(
            files,
            **{kind: located(kind, split)[0] for kind in patterns if kind in wanted},
            on_bad_file=skipped.of(split, skip_bad_files),
        )
        for split in splits
    }


def named_label_set(
    *,
    classes_file: Path,
    pairs: Sequence[Pair],
    num_classes: int | None,
    class_names: Sequence[str] | None,
    has_unknown: bool,
    palette: Palette | None,
) -> tuple[LabelSet, Palette | None]:
    """Returns the label set of your own data, and its palette.

    Args:
        classes_file: a file of class names, if it exists.
        pairs: whose label maps are looked into, to say in an error what they hold.
        num_classes: number of classes, or None.
        class_names: their names, or None.
        has_unknown: whether unknown pixels are allowed.
        palette: that the label maps are drawn with, or None.

    Raises:
        DataError: if nothing tells the classes, or two things tell different ones.
    """
    origin = "class_names"
    names = tuple(class_names) if class_names else ()
    if not names and classes_file.is_file():
        origin = str(classes_file)
        names = inspection.read_class_names(classes_file)
    if palette is not None:
        palette = palette.of_classes(len(names) or num_classes)
    if palette is not None and not names:
        origin = f"palette {palette.name}"
        names = palette.class_names or tuple(f"class {i}" for i in range(palette.num_classes))
    if palette is not None and len(names) != palette.num_classes:
        raise ArgumentError(
            "palette",
            f"{palette.name} has {palette.num_classes} classes, but {origin} has "
            f"{len(names)} names; make them agree",
        )
    if not names and num_classes is None:
        largest, num_files = inspection.largest_label_id(pairs)
        raise ArgumentError(
            "num_classes",
            f"not given, and no {classes_file}; the largest id found in {num_files} "
            f"label maps is {largest} (255 left out), so pass --num_classes={max(largest, 0) + 1}, "
            "or more if the data set has classes that are not in them",
        )
    if num_classes is not None and not 1 <= num_classes < schema.MAX_IDS:
        raise ArgumentError(
            "num_classes", f"{num_classes} received; give 1 to {schema.MAX_IDS - 1}"
        )
    if names and num_classes not in (None, len(names)):
        raise ArgumentError(
            "num_classes",
            f"{num_classes} received, but {origin} has {len(names)} names; "
            "make them agree, or leave it out",
        )
    names = names or tuple(f"class {i}" for i in range(num_classes or 0))
    colors = schema.default_palette(len(names), has_unknown)
    if palette is not None:
        by_id = dict(zip(reversed(palette.ids), reversed(palette.colors), strict=True))
        colors = tuple(by_id.get(index, color) for index, color in enumerate(colors))
    label_set = LabelSet(
        class_names=names,
        palette=colors,
        has_unknown=has_unknown,
        has_instance=pairs[0].instance is not None,
    )
    return label_set, palette
