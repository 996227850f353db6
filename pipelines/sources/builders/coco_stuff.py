"""TFDS builder for COCO-Stuff."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from pipelines.sources import label_sets
from pipelines.sources.builders.files import (
    FilesBuilder,
    PairReader,
    SplitSkips,
    source_folder,
)
from pipelines.sources.builders.paired_folder import PATTERNS, find_splits
from pipelines.sources.folders import FOLDERS
from pipelines.sources.label_files import describe_files
from pipelines.sources.listing import SourceFiles
from pipelines.sources.palettes import Palette

WANTED = FOLDERS["coco_stuff"]
OFFICIAL = {kind: PATTERNS[kind] for kind in ("image", "label", "instance")}

_SPLITS = ("train", "val")


class CocoStuff(FilesBuilder):
    """COCO-Stuff: 118,287 training and 5,000 validation pictures, 182 classes and unknown.

    Label maps hold ids 0..181 and 255 for unknown, which is stored as id 182. The paper resizes
    to 286x286 and crops to 256x256; with instance edges, networks see 184 channels. Two layouts
    are read: that of the official release, `{train,val}_{img,label,inst}/`, and that of the COCO
    archives, `train2017/`, `val2017/` (or below `images/`) with `stuffthingmaps/`. Instance maps
    are optional in both; they come from the annotation files of COCO.

    Args:
        source_dir: the folder that holds one of the two.
        data_dir: the folder of prepared data sets.
        palette: how the colours of label maps are read; None where they hold ids, as COCO's do.
        off_palette_unknown: whether colours off the palette become unknown; default: an error.
        skip_bad_files: whether files without counterpart are left out and listed.

    Attributes:
        label_set: 182 classes and unknown.
        num_examples: number of pairs by split.
        skipped: split and error of each file that was left out when files were listed.

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
        source = source_folder(source_dir, WANTED)
        files = SourceFiles(source, WANTED)
        patterns = OFFICIAL
        if not any((source / f"{split}_img").exists() for split in _SPLITS):
            patterns = _raw_patterns(source)
        pairs = find_splits(files, patterns, self.skipped, skip_bad_files)
        label_set = label_sets.COCO_STUFF._replace(
            has_instance=next(iter(pairs.values()))[0].instance is not None,
            files=describe_files(palette, off_palette_unknown),
        )
        super().__init__(
            pairs=pairs,
            pair_reader=PairReader(label_set),
            description="COCO-Stuff: photographs of everyday scenes, 182 thing and stuff classes.",
            data_dir=data_dir,
            source_files=files,
            **kwargs,
        )


def _raw_patterns(source: Path) -> dict[str, str]:
    """Returns the patterns of the archives as COCO gives them."""
    maps = "stuffthingmaps"
    if not (source / maps).is_dir() and (source / f"{maps}_trainval2017").is_dir():
        maps += "_trainval2017"
    images = "images/" if (source / "images" / "train2017").is_dir() else ""
    folders = {"image": images, "label": f"{maps}/", "instance": "instances/"}
    return {kind: folder + "{split}2017/*" for kind, folder in folders.items()}
