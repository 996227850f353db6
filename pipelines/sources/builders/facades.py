"""TFDS builder for the CMP facades."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import tensorflow_datasets as tfds

from pipelines.schema import ArgumentError
from pipelines.sources import label_sets, pairing
from pipelines.sources.builders.files import FilesBuilder, PairReader, SplitSkips, source_folder
from pipelines.sources.folders import FOLDERS
from pipelines.sources.label_files import describe_files
from pipelines.sources.listing import SourceFiles
from pipelines.sources.pairing import Pair
from pipelines.sources.palettes import Palette

WANTED = FOLDERS["facades"]

_ARCHIVES = ("base", "extended")
# Palette indices count from 1.
_ID_TABLE = (-1, *range(12))
# Peers' 400 + 100 + 106 of 606.
_NUM_PICTURES, _NUM_VAL, _NUM_TEST = 606, 100, 106


class Facades(FilesBuilder):
    """The CMP facade database: 606 rectified facades, 12 classes, no unknown.

    Photographs are JPEGs; label maps are PNGs with a palette whose indices 1..12 are the classes,
    stored as ids 0..11. Peers train on 400 pictures, validate on 100 and test on 106, at 256x256;
    which picture is where was not published by file name. Here the pictures are dealt out in
    these shares: every picture's place is given by its rank among the hashes of the stems.

    Args:
        source_dir: the folder that holds `base/` and, optionally, `extended/`.
        data_dir: the folder of prepared data sets.
        palette: how the colours of label maps are read; None to take palette indices as ids.
        off_palette_unknown: must be False: there is no unknown id.
        skip_bad_files: whether files without counterpart are left out and listed.

    Attributes:
        label_set: 12 classes.
        num_examples: number of pairs by split: train, val and test.
        skipped: split and error of each file that was left out when files were listed.

    Raises:
        DataError: if folders or files are missing or unmatched.

    Reference: Tyleček and Šára 2013, "Spatial Pattern Templates for Recognition of Objects with
        Regular Structure"; Isola et al. 2017, https://arxiv.org/abs/1611.07004, section 6.2.
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
        if off_palette_unknown:
            raise ArgumentError("off_palette", "'unknown' received, but facades has no unknown id")
        self.skipped = SplitSkips()
        source = source_folder(source_dir, WANTED)
        listed = SourceFiles(source, WANTED)
        pairs: list[Pair] = []
        for archive in _ARCHIVES:
            if archive == "base" or (source / archive).exists():
                # JPEG and PNG of one stem lie side by side.
                pairs += pairing.find_pairs(
                    listed,
                    image=f"{archive}/*.jpg",
                    label=f"{archive}/*.png",
                    on_bad_file=self.skipped.of("train", skip_bad_files),
                )
        files = describe_files(palette, id_table=_ID_TABLE, palette_indices=True)
        super().__init__(
            pairs=_deal(pairs),
            pair_reader=PairReader(label_sets.FACADES._replace(files=files)),
            description="CMP facades: rectified photographs of facades, 12 classes.",
            data_dir=data_dir,
            source_files=listed,
            **kwargs,
        )


def _deal(pairs: list[Pair]) -> dict[str, list[Pair]]:
    ranked = sorted(pairs, key=lambda pair: hashlib.sha256(pair.stem.encode()).digest())
    num_val = len(ranked) * _NUM_VAL // _NUM_PICTURES
    num_test = len(ranked) * _NUM_TEST // _NUM_PICTURES
    splits = {
        "train": ranked[num_val + num_test :],
        "val": ranked[:num_val],
        "test": ranked[num_val : num_val + num_test],
    }
    return {split: found for split, found in splits.items() if found}
