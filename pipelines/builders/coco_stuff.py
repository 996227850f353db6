"""TFDS builder for COCO-Stuff."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from pipelines import label_sets, listing
from pipelines.builders.files import (
    FilesBuilder,
    PairReader,
    SplitSkips,
    first_existing,
    source_folder,
)
from pipelines.builders.paired_folder import find_splits
from pipelines.label_files import describe_files
from pipelines.layouts import LAYOUTS
from pipelines.listing import Pair
from pipelines.palettes import Palette

LAYOUT = LAYOUTS["coco_stuff"]

_YEARS = {"train": "train2017", "val": "val2017"}


class CocoStuff(FilesBuilder):
    """COCO-Stuff: 118,287 training and 5,000 validation pictures, 182 classes and unknown.

    Label maps hold ids 0..181 and 255 for unknown, which is stored as id 182. The paper resizes
    to 286x286 and crops to 256x256; with instance edges, networks see 184 channels. Two layouts
    are read: that of the official release, `{train,val}_{img,label,inst}/`, and that of the COCO
    archives, `train2017/`, `val2017/` (or below `images/`) with `stuffthingmaps/`. Instance maps
    are optional in both; they come from the annotation files of COCO.

    Args:
        source_dir: the folder that holds one of the two.
        data_dir: where prepared data sets are kept.
        palette: how the colours of label maps are read; None where they hold ids, as COCO's do.
        off_palette_unknown: whether colours off the palette are unknown; refused by default.
        skip_bad_files: whether files without counterpart are left out and listed.

    Attributes:
        label_set: 182 classes and unknown.
        num_examples: number of pairs by split.
        skipped: what was left out on construction: split and error.

    Raises:
        DataError: if folders or files are missing or unmatched.

    Reference: Caesar et al. 2018, https://arxiv.org/abs/1612.03716; Park et al. 2019, section 4.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        source_dir: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None = None,
        palette: Palette | None = None,
        off_palette_unknown: bool = False,
        skip_bad_files: bool = False,
        **kwargs: Any,
    ) -> None:
        self.skipped = SplitSkips()
        source = source_folder(source_dir, LAYOUT)
        if any((source / f"{split}_img").exists() for split in _YEARS):
            pairs = find_splits(source, LAYOUT, self.skipped, skip_bad_files, with_condition=False)
        else:
            pairs = _find_raw(source, self.skipped, skip_bad_files)
        label_set = label_sets.COCO_STUFF._replace(
            has_instance=next(iter(pairs.values()))[0].instance is not None,
            files=describe_files(palette, off_palette_unknown),
        )
        super().__init__(
            pairs=pairs,
            pair_reader=PairReader(label_set),
            description="COCO-Stuff: photographs of everyday scenes, 182 thing and stuff classes.",
            data_dir=data_dir,
            **kwargs,
        )


def _find_raw(source: Path, skipped: SplitSkips, skip_bad_files: bool) -> dict[str, list[Pair]]:
    images = {
        split: first_existing([source / "images" / year, source / year], LAYOUT)
        for split, year in _YEARS.items()
        if split == "train" or (source / "images" / year).exists() or (source / year).exists()
    }
    maps = first_existing(
        [source / "stuffthingmaps", source / "stuffthingmaps_trainval2017"], LAYOUT
    )
    has_instance = (source / "instances").exists()
    return {
        split: listing.find_pairs(
            image_dir=directory,
            label_dir=maps / _YEARS[split],
            instance_dir=source / "instances" / _YEARS[split] if has_instance else None,
            layout=LAYOUT,
            on_bad_file=skipped.of(split, skip_bad_files),
        )
        for split, directory in images.items()
    }
