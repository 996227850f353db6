"""The base of builders that read pairs of files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from pipelines import schema
from pipelines.schema import ArgumentError, BadFileError, LabelSet
from pipelines.sources import inspection, label_files, pictures
from pipelines.sources.builders.base import Example, SourceBuilder
from pipelines.sources.listing import OnBadFile, SourceFiles
from pipelines.sources.pairing import Pair

# What builders read beside pictures, or `--palette` may name.
_TEXT_FILES = ("classes.txt", "labelmap.txt", "sceneCategories.txt")


class PairReader(NamedTuple):
    """Reads and checks the files of one example.

    Attributes:
        label_set: what their label maps may hold, and how the files of these are read.
        size: height and width that pictures are scaled to as they are stored; None to store the
            files as they are.
    """

    label_set: LabelSet
    size: tuple[int, int] | None = None

    def __call__(self, pair: Pair) -> Example:
        """Reads an example.

        Raises:
            BadFileError: if one of its files cannot be used.
        """
        image = pictures.read_image(pair.image)
        features: dict[str, Any] = {"image": image.encoded, "name": pair.stem}
        off_palette = 0
        if pair.label is not None:
            label, off_palette = label_files.read_label(pair.label, self.label_set)
            inspection.check_same_size(label.shape, pair.label, image, pair.image)
            features["label"] = self._encode(label, self.label_set.num_ids)
        if pair.condition is not None:
            encoded, shape, _ = pictures.read_condition(pair.condition)
            inspection.check_same_size(shape, pair.condition, image, pair.image)
            if shape[2] != self.label_set.condition_channels:
                raise BadFileError(
                    pair.condition,
                    "bit depth",
                    f"{shape[2]} channels, but the first map has "
                    f"{self.label_set.condition_channels}; give all of them the same",
                )
            features["condition"] = encoded
        if pair.instance is not None:
            instance = pictures.read_instances(pair.instance)
            inspection.check_same_size(instance.shape, pair.instance, image, pair.image)
            features["instance"] = self._encode(instance, schema.MAX_IDS)
        if self.size is not None:
            features["image"] = inspection.scale_image(image.encoded, *self.size)
        return Example(pair.stem, features, off_palette)

    def _encode(self, ids: np.ndarray, num_ids: int) -> bytes:
        if self.size is not None:
            ids = inspection.scale_ids(ids, *self.size)
        return inspection.encode_ids(ids, num_ids)


class SplitSkips(list[tuple[str, BadFileError]]):
    """The files that were left out when files were listed, with their splits."""

    def of(self, split: str, skip_bad_files: bool) -> OnBadFile | None:
        """Returns the function that records a bad file of a split, or None to stop for it."""
        if not skip_bad_files:
            return None
        return lambda bad: self.append((split, bad))


class FilesBuilder(SourceBuilder):
    """Base of the builders that read pairs of files.

    Args:
        pairs: by split.
        pair_reader: what reads them; its label set is that of the data set.
        description: of the data set.
        data_dir: the folder of prepared data sets.
        citation: of the paper that describes it.
        condition_bits: 8 or 16, per channel of continuous maps.
        source_files: all files of the source folder; None where it is no folder.
        **kwargs: passed on to TFDS.
    """

    skipped: SplitSkips

    def __init__(
        self,
        *,
        pairs: Mapping[str, Sequence[Pair]],
        pair_reader: Any,
        description: str,
        data_dir: str | os.PathLike[str] | None,
        citation: str = "",
        condition_bits: int = 8,
        source_files: SourceFiles | None = None,
        **kwargs: Any,
    ) -> None:
        self._pairs = pairs
        self._source_files = source_files
        self._pair_reader = pair_reader
        self._description = description
        self._citation = citation
        self._condition_bits = condition_bits
        self.label_set = pair_reader.label_set
        self.num_examples = {split: len(found) for split, found in pairs.items()}
        super().__init__(data_dir=data_dir, **kwargs)

    def items(self) -> Mapping[str, Sequence[Pair]]:
        """The pairs of each split."""
        return self._pairs

    def reader(self) -> Any:
        """What reads a pair."""
        return self._pair_reader

    def left_out(self, prepared: Path | None = None) -> list[str]:
        """Files under the source folder that are neither used nor reported, relative to it.

        Args:
            prepared: the folder of prepared data sets, which may lie in the source folder.
        """
        if self._source_files is None:
            return []
        used = [path for pairs in self._pairs.values() for pair in pairs for path in pair.paths]
        used += [bad.path for _, bad in self.skipped]
        used += [self._source_files.root / name for name in _TEXT_FILES]
        return self._source_files.left_out(used, [] if prepared is None else [prepared])

    def num_source_bytes(self, items: Sequence[Pair]) -> int:
        """The sizes of all files; files that are gone are found out when they are read."""
        total = 0
        for pair in items:
            for path in pair.paths:
                try:
                    total += path.stat().st_size
                except OSError:
                    continue
        return total

    def describe(self, splits: tfds.core.SplitDict | None = None) -> tfds.core.DatasetInfo:
        """Returns the description of the data set; see the base class."""
        return tfds.core.DatasetInfo(
            builder=self,
            description=self._description,
            citation=self._citation or None,
            features=schema.features(
                self.label_set.has_instance,
                max(self.label_set.num_ids, 1),
                condition_channels=self.label_set.condition_channels,
                condition_bits=self._condition_bits,
            ),
            metadata=tfds.core.MetadataDict(self.label_set.to_metadata()),
            split_dict=splits,
        )


def source_folder(source_dir: str | os.PathLike[str], wanted: str) -> Path:
    """Returns the source folder as a path.

    Raises:
        DataError: if there is no such folder.
    """
    path = Path(source_dir).expanduser()
    if not path.is_dir():
        raise ArgumentError("source_dir", f"no folder {path}; what is wanted: {wanted}")
    return path
