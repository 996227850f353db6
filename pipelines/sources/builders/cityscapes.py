"""TFDS builder for Cityscapes."""

from __future__ import annotations

import os
from typing import Any

import tensorflow_datasets as tfds

from pipelines.schema import ArgumentError, DataError
from pipelines.sources import label_sets, pairing
from pipelines.sources.builders.files import FilesBuilder, PairReader, SplitSkips, source_folder
from pipelines.sources.folders import FOLDERS
from pipelines.sources.label_files import describe_files
from pipelines.sources.listing import SourceFiles
from pipelines.sources.palettes import Palette

WANTED = FOLDERS["cityscapes"]

_SPLITS = ("train", "val")
_LICENSE_PLATE = 34
# Ids 0..33 are themselves; licence plates are -1, which is 255 in a file of 8 bits.
_ID_TABLE = (*range(34), _LICENSE_PLATE, *[-1] * 220, _LICENSE_PLATE)


class CityscapesConfig(tfds.core.BuilderConfig):
    """Size of the pictures as they are stored.

    Args:
        height: rows.
        width: columns; the files have 1024x2048.
    """

    def __init__(self, *, height: int, width: int) -> None:
        if height < 1 or width < 1:
            raise DataError(f"height, width: {height}, {width} received; give 1 or more")
        super().__init__(name=f"{height}x{width}", description=f"{height}×{width} pixels")
        self.height = height
        self.width = width


class Cityscapes(FilesBuilder):
    """Cityscapes, fine annotations: 2,975 training and 500 validation pictures, 35 ids.

    Label maps are the `labelIds` files: ids 0..33, those that the benchmark ignores included, and
    id 34 for licence plates (-1 in the list of labels, 255 in a file); there is no other unknown.
    Instance maps are the `instanceIds` files, of 16 bits. The paper trains at 512x256 (width x
    height), the default here: pictures are stored scaled (bicubic and antialiased; ids by nearest
    neighbour); config `1024x2048` stores the files as they are. Networks see 36 channels.

    Args:
        source_dir: the folder that holds `leftImg8bit/` and `gtFine/`.
        data_dir: the folder of prepared data sets.
        config: a `CityscapesConfig`, or the name of one: `"256x512"`, `"512x1024"`,
            `"1024x2048"`.
        palette: how the colours of label maps are read; None where they hold ids.
        off_palette_unknown: must be False: there is no unknown id.
        skip_bad_files: whether files without counterpart are left out and listed.

    Attributes:
        label_set: 35 ids.
        num_examples: number of pairs by split.
        skipped: split and error of each file that was left out when files were listed.

    Raises:
        DataError: if folders or files are missing or unmatched.

    Reference: Cordts et al. 2016, https://arxiv.org/abs/1604.01685; Park et al. 2019, section 4.
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012
        CityscapesConfig(height=height, width=2 * height) for height in (256, 512, 1024)
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "256x512"

    def __init__(
        self,
        *,
        source_dir: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None = None,
        config: CityscapesConfig | str | None = None,
        palette: Palette | None = None,
        off_palette_unknown: bool = False,
        skip_bad_files: bool = False,
        **kwargs: Any,
    ) -> None:
        chosen: CityscapesConfig = self.find_config(config)
        if off_palette_unknown:
            raise ArgumentError(
                "off_palette", "'unknown' received, but cityscapes has no unknown id"
            )
        self.skipped = SplitSkips()
        source = source_folder(source_dir, WANTED)
        files = SourceFiles(source, WANTED)
        kind = "labelIds" if palette is None else "color"
        pairs = {
            split: pairing.find_pairs(
                files,
                image=f"leftImg8bit/{split}/*_leftImg8bit",
                label=f"gtFine/{split}/*_gtFine_{kind}",
                instance=f"gtFine/{split}/*_gtFine_instanceIds",
                on_bad_file=self.skipped.of(split, skip_bad_files),
            )
            for split in _SPLITS
            if split == "train" or (source / "leftImg8bit" / split).exists()
        }
        original = (chosen.height, chosen.width) == (1024, 2048)
        super().__init__(
            pairs=pairs,
            pair_reader=PairReader(
                label_sets.CITYSCAPES._replace(files=describe_files(palette, id_table=_ID_TABLE)),
                size=None if original else (chosen.height, chosen.width),
            ),
            description="Cityscapes: street scenes of 50 cities, fine annotations.",
            data_dir=data_dir,
            source_files=files,
            config=chosen,
            **kwargs,
        )
