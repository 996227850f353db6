"""TFDS builder for ADE20K and its outdoor part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from pipelines.schema import ArgumentError, DataError
from pipelines.sources import label_sets, listing, pairing
from pipelines.sources.builders.files import FilesBuilder, PairReader, SplitSkips, source_folder
from pipelines.sources.builders.outdoor_scenes import is_outdoor
from pipelines.sources.folders import FOLDERS
from pipelines.sources.label_files import describe_files
from pipelines.sources.listing import SourceFiles
from pipelines.sources.pairing import Pair
from pipelines.sources.palettes import Palette
from pipelines.sources.texts import read_lines

WANTED = FOLDERS["ade20k"]

_FOLDERS = {"train": "training", "val": "validation"}
# File id 0 is unknown, 1..150 are the classes.
_SHIFTED = (150, *range(150))
_UNSHIFTED = tuple(range(151))


class ADE20KConfig(tfds.core.BuilderConfig):
    """Which pictures, and which ids.

    Args:
        outdoor: whether only outdoor scenes are taken.
        shift_ids: whether file ids 1..150 become 0..149 and file id 0, unknown, becomes 150.
            False stores the file ids as they are: 151 classes, of which id 0 is unknown.
    """

    def __init__(self, *, outdoor: bool = False, shift_ids: bool = True) -> None:
        name = ("outdoor" if outdoor else "all") + "_file_ids" * (not shift_ids)
        super().__init__(name=name, description=f"outdoor={outdoor}, shift_ids={shift_ids}")
        self.outdoor = outdoor
        self.shift_ids = shift_ids


class ADE20K(FilesBuilder):
    """ADE20K scene parsing: 20,210 training and 2,000 validation pictures, 150 classes, unknown.

    Label maps hold file ids 0 (unknown) and 1..150, stored as 150 and 0..149; there are no
    instance maps. The paper resizes to 286x286 and crops to 256x256; networks see 151 channels.
    Config `outdoor` takes the outdoor scenes alone, by the names in `sceneCategories.txt`.

    Args:
        source_dir: the folder that holds `images/` and `annotations/`.
        data_dir: the folder of prepared data sets.
        config: an `ADE20KConfig`, or the name of one: `"all"`, `"outdoor"`, `"all_file_ids"`,
            `"outdoor_file_ids"`.
        palette: how the colours of label maps are read; None where they hold file ids.
        off_palette_unknown: whether colours off the palette become unknown; default: an error.
        skip_bad_files: whether files without counterpart are left out and listed.

    Attributes:
        label_set: 150 classes and unknown.
        num_examples: number of pairs by split.
        skipped: split and error of each file that was left out when files were listed.

    Raises:
        DataError: if folders or files are missing or unmatched.

    Reference: Zhou et al. 2017, https://arxiv.org/abs/1608.05442; Park et al. 2019, section 4.
        The paper does not say which scenes are outdoor; `outdoor_scenes.py` does for this builder.
    """

    name = "ade20k"
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012
        ADE20KConfig(outdoor=outdoor, shift_ids=shift_ids)
        for shift_ids in (True, False)
        for outdoor in (False, True)
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "all"

    def __init__(
        self,
        *,
        source_dir: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None = None,
        config: ADE20KConfig | str | None = None,
        palette: Palette | None = None,
        off_palette_unknown: bool = False,
        skip_bad_files: bool = False,
        **kwargs: Any,
    ) -> None:
        chosen: ADE20KConfig = self.find_config(config)
        self.skipped = SplitSkips()
        source = source_folder(source_dir, WANTED)
        listed = SourceFiles(source, WANTED)
        pairs = {
            split: pairing.find_pairs(
                listed,
                image=f"images/{folder}/*",
                label=f"annotations/{folder}/*",
                on_bad_file=self.skipped.of(split, skip_bad_files),
            )
            for split, folder in _FOLDERS.items()
            if split == "train" or (source / "images" / folder).exists()
        }
        if chosen.outdoor:
            pairs = _outdoor(pairs, source / "sceneCategories.txt")
        label_set = label_sets.ADE20K
        if not chosen.shift_ids:
            if palette is not None:
                raise ArgumentError(
                    "config",
                    f"{chosen.name!r} received with a palette, whose ids count from 0; "
                    "give config all or outdoor, or leave the palette out",
                )
            label_set = label_set._replace(
                class_names=("unknown", *label_set.class_names),
                palette=((0, 0, 0), *label_set.palette[:-1]),
                has_unknown=False,
            )
        files = describe_files(
            palette, off_palette_unknown, id_table=_SHIFTED if chosen.shift_ids else _UNSHIFTED
        )
        super().__init__(
            pairs=pairs,
            pair_reader=PairReader(label_set._replace(files=files)),
            description="ADE20K scene parsing: indoor and outdoor scenes, 150 classes.",
            data_dir=data_dir,
            source_files=listed,
            config=chosen,
            **kwargs,
        )


def _outdoor(pairs: dict[str, list[Pair]], scenes_file: Path) -> dict[str, list[Pair]]:
    lines = read_lines(
        scenes_file,
        "config outdoor needs the names of the scenes, one line 'STEM SCENE' per picture; "
        f"what is wanted: {WANTED}",
    )
    scenes = dict(line.split(maxsplit=1) for line in lines if len(line.split()) > 1)
    kept: dict[str, list[Pair]] = {}
    for split, found in pairs.items():
        unnamed = [pair.stem for pair in found if pair.stem not in scenes]
        if unnamed:
            raise DataError(
                f"{scenes_file}: no scene for {listing.enumerate_few(unnamed)}; take the file that "
                "comes with these pictures"
            )
        kept[split] = [pair for pair in found if is_outdoor(scenes[pair.stem].strip())]
        if not kept[split]:
            raise DataError(
                f"{scenes_file}: no outdoor scene among the {len(found)} pictures of {split}; "
                "give config all"
            )
    return kept
