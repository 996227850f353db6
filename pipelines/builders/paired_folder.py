"""TFDS builder for one's own data: folders of photographs and label maps, matched by stem."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from pipelines import inspection, listing, schema
from pipelines.builders.files import FilesBuilder, PairReader, SplitSkips, source_folder
from pipelines.label_files import describe_files
from pipelines.layouts import LAYOUTS
from pipelines.listing import Pair
from pipelines.palettes import Palette
from pipelines.schema import DataError, LabelSet

LAYOUT = LAYOUTS["paired_folder"]


class PairedFolder(FilesBuilder):
    """Photographs, label maps and, optionally, instance maps from a folder of folders.

    The layout is `{train,val}_{img,label,inst}/`; files of one example share their stem. Label
    maps are single-channel PNGs of the class ids, where 255 (65535 if there are more than 255
    classes) means unknown and is stored as id `num_classes`; or, with a palette, PNGs of colours.
    Instance maps are single-channel PNGs of 8 or 16 bits. With `{train,val}_cond/` in place of
    `_label/`, there are continuous maps instead of ids: PNGs, greyscale of 8 or 16 bits, RGB or
    RGBA. Pairing is checked on construction, the content of each file as it is stored.

    Args:
        source_dir: the folder that holds `train_img/`, `train_label/` and so on.
        data_dir: where prepared data sets are kept.
        num_classes: int, 1 to 65535. Default: the number of `class_names`, or of the palette.
        class_names: names of the ids `0..num_classes-1`. Default: the lines of `classes.txt` in
            `source_dir` if there is one, then the palette's, otherwise `class 0` and so on.
        has_unknown: whether unknown pixels are allowed. Default True.
        palette: how the colours of label maps are read; None where they hold ids.
        off_palette_unknown: whether colours off the palette are unknown; refused by default.
        skip_bad_files: whether files without counterpart are left out and listed.

    Attributes:
        label_set: the `LabelSet` of the source.
        num_examples: number of pairs by split.
        skipped: what was left out on construction: split and error.

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
        skip_bad_files: bool = False,
        **kwargs: Any,
    ) -> None:
        self.skipped = SplitSkips()
        pairs = find_splits(source_folder(source_dir, LAYOUT), LAYOUT, self.skipped, skip_bad_files)
        first = pairs["train"][0]
        if first.condition is not None:
            _, shape, condition_bits = inspection.read_condition(first.condition)
            label_set = LabelSet((), (), False, first.instance is not None, shape[2])
        else:
            condition_bits = 8
            label_set = named_label_set(
                classes_file=Path(source_dir) / "classes.txt",
                pairs=pairs["train"],
                num_classes=num_classes,
                class_names=class_names,
                has_unknown=has_unknown,
                palette=palette,
            )
        super().__init__(
            pairs=pairs,
            pair_reader=PairReader(
                label_set._replace(files=describe_files(palette, off_palette_unknown))
            ),
            description="Photographs with label maps from a folder.",
            data_dir=data_dir,
            condition_bits=condition_bits,
            **kwargs,
        )


def find_splits(
    source_dir: Path,
    layout: str,
    skipped: SplitSkips,
    skip_bad_files: bool,
    *,
    with_condition: bool = True,
) -> dict[str, list[Pair]]:
    """Finds the pairs in `{train,val}_{img,label,inst}/`.

    Args:
        source_dir: the folder that holds these.
        layout: quoted in the error messages.
        skipped: where files that are left out are taken down.
        skip_bad_files: whether they are.
        with_condition: whether `{train,val}_cond/` is looked for.

    Raises:
        DataError: if folders or files are missing or unmatched.
    """
    splits = ["train"]
    if any((source_dir / f"val_{kind}").exists() for kind in ("img", "label", "cond")):
        splits.append("val")
    has_instance = any((source_dir / f"{split}_inst").exists() for split in splits)
    has_label = any((source_dir / f"{split}_label").exists() for split in splits)
    has_condition = with_condition and (source_dir / "train_cond").exists()
    if has_condition and has_label:
        raise DataError(
            f"{source_dir}: both label and cond folders in it; ids and continuous maps exclude "
            "each other, move one of them away"
        )
    return {
        split: listing.find_pairs(
            image_dir=source_dir / f"{split}_img",
            label_dir=None if has_condition else source_dir / f"{split}_label",
            instance_dir=source_dir / f"{split}_inst" if has_instance else None,
            condition_dir=source_dir / f"{split}_cond" if has_condition else None,
            layout=layout,
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
) -> LabelSet:
    """Returns the label set of one's own data, from whatever tells the classes.

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
    if palette is not None and not names:
        origin = f"palette {palette.name}"
        names = palette.class_names or tuple(f"class {i}" for i in range(palette.num_classes))
    if palette is not None and len(names) != palette.num_classes:
        raise DataError(
            f"palette: {palette.name} has {palette.num_classes} classes, but {origin} has "
            f"{len(names)} names; make them agree"
        )
    if not names and num_classes is None:
        largest, num_files = inspection.largest_label_id(pairs)
        raise DataError(
            f"num_classes: not given, and no {classes_file}; the largest id found in {num_files} "
            f"label maps is {largest} (255 left out), so pass --num_classes={max(largest, 0) + 1} "
            "or more"
        )
    if num_classes is not None and not 1 <= num_classes < schema.MAX_IDS:
        raise DataError(f"num_classes: {num_classes} received; give 1 to {schema.MAX_IDS - 1}")
    if names and num_classes not in (None, len(names)):
        raise DataError(
            f"num_classes: {num_classes} received, but {origin} has {len(names)} names; "
            "make them agree, or leave num_classes out"
        )
    names = names or tuple(f"class {i}" for i in range(num_classes or 0))
    colors = schema.default_palette(len(names), has_unknown)
    if palette is not None:
        by_id = dict(zip(reversed(palette.ids), reversed(palette.colors), strict=True))
        colors = tuple(by_id.get(index, color) for index, color in enumerate(colors))
    return LabelSet(
        class_names=names,
        palette=colors,
        has_unknown=has_unknown,
        has_instance=pairs[0].instance is not None,
    )
