"""The schema of a prepared data set: its label set, and the features of its records."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

Color = tuple[int, int, int]

MAX_IDS = 65536


class DataError(ValueError):
    """Bad data; the message is one line: the file or argument, the value, the remedy."""


class ArgumentError(DataError):
    """An argument that cannot be used; the message begins with its name.

    Args:
        argument: its name.
        message: its value, and the remedy.
    """

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(argument, message)
        self.argument = argument

    def __str__(self) -> str:
        return ": ".join(self.args)


class BadFileError(DataError):
    """A source file that cannot be used. It may be left out instead of stopping for it.

    Args:
        path: the file.
        kind: what is wrong with it in a few words, by which such files are counted.
        message: what was found in it, and what to do.
        preparing: what to do with flags of `prepare`; other commands do not show it.

    Attributes:
        found: the message without `preparing`.
    """

    def __init__(
        self, path: str | os.PathLike[str], kind: str, message: str, preparing: str = ""
    ) -> None:
        self.found = message
        if preparing:
            message += f"; {preparing}"
        super().__init__(path, kind, message)
        self.path = Path(path)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class LabelFiles(NamedTuple):
    """How label map files are turned into the ids that a model is trained on.

    Without a table and without colours, a file holds ids as they are: `0..N-1`, and 255 (65535
    above 255 classes) for unknown.

    Attributes:
        id_table: the id of each value in a file, -1 for values that are errors; empty for none.
        palette_indices: whether PNGs with a palette are read too, by their indices.
        palette: name of the palette that label maps are drawn in; empty where they hold values.
        colors: colours of the palette.
        color_ids: ids of these colours; the id of unknown is `N`.
        off_palette_unknown: whether other colours are unknown, or refused.
    """

    id_table: tuple[int, ...] = ()
    palette_indices: bool = False
    palette: str = ""
    colors: tuple[Color, ...] = ()
    color_ids: tuple[int, ...] = ()
    off_palette_unknown: bool = False

    def to_metadata(self) -> dict[str, Any]:
        """Returns it as a dictionary that JSON can hold."""
        return self._asdict() | {
            "id_table": list(self.id_table),
            "colors": [list(color) for color in self.colors],
            "color_ids": list(self.color_ids),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> LabelFiles:
        """Returns what `to_metadata` wrote; keys that are missing have their defaults."""
        return cls(
            id_table=tuple(int(i) for i in metadata.get("id_table", ())),
            palette_indices=bool(metadata.get("palette_indices", False)),
            palette=str(metadata.get("palette", "")),
            colors=tuple((int(r), int(g), int(b)) for r, g, b in metadata.get("colors", ())),
            color_ids=tuple(int(i) for i in metadata.get("color_ids", ())),
            off_palette_unknown=bool(metadata.get("off_palette_unknown", False)),
        )


class LabelSet(NamedTuple):
    """The ids that a label map may hold, and their names.

    Attributes:
        class_names: names of the ids `0..N-1`.
        palette: one RGB colour, 0 to 255 each, per id; that of unknown comes last, if there is one.
        has_unknown: whether id `N` stands for unknown.
        has_instance: whether every record carries an instance map.
        condition_channels: channels of the continuous map that records carry in place of a label
            map; 0 where they carry label maps. There are no ids then.
        files: how label map files are read.
    """

    class_names: tuple[str, ...]
    palette: tuple[Color, ...]
    has_unknown: bool
    has_instance: bool
    condition_channels: int = 0
    files: LabelFiles = LabelFiles()

    @property
    def num_classes(self) -> int:
        """Number of classes `N`, unknown not counted."""
        return len(self.class_names)

    @property
    def num_ids(self) -> int:
        """Number of distinct ids: `N`, and one more where unknown is allowed."""
        return self.num_classes + self.has_unknown

    @property
    def id_names(self) -> list[str]:
        """Names of all ids: those of the classes, and `unknown` where it is allowed."""
        return [*self.class_names, *["unknown"] * self.has_unknown]

    def to_metadata(self) -> dict[str, Any]:
        """Returns the label set as a dictionary that JSON can hold."""
        return {
            "class_names": list(self.class_names),
            "palette": [list(color) for color in self.palette],
            "has_unknown": self.has_unknown,
            "has_instance": self.has_instance,
            "condition_channels": self.condition_channels,
            "files": self.files.to_metadata(),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> LabelSet:
        """Returns the label set that `to_metadata` wrote; other keys are left alone.

        Args:
            metadata: mapping with the keys of `to_metadata`.

        Raises:
            DataError: if a key is missing, or the palette's length is not the number of ids.
        """
        needed = [field for field in cls._fields if field not in cls._field_defaults]
        missing = [field for field in needed if field not in metadata]
        if missing:
            raise DataError(
                f"metadata of the data set: no {', '.join(missing)} in it; prepare it again"
            )
        label_set = cls(
            class_names=tuple(str(name) for name in metadata["class_names"]),
            palette=tuple((int(r), int(g), int(b)) for r, g, b in metadata["palette"]),
            has_unknown=bool(metadata["has_unknown"]),
            has_instance=bool(metadata["has_instance"]),
            condition_channels=int(metadata.get("condition_channels", 0)),
            files=LabelFiles.from_metadata(metadata.get("files", {})),
        )
        if len(label_set.palette) != label_set.num_ids:
            raise DataError(
                f"metadata of the data set: palette has {len(label_set.palette)} colours for "
                f"{label_set.num_ids} ids; prepare the data set again"
            )
        return label_set


def default_palette(num_classes: int, has_unknown: bool) -> tuple[Color, ...]:
    """Returns a distinct colour for each class, and black for unknown.

    Class `i` takes entry `i + 1` of the PASCAL VOC colour map: the bits of the entry go to red,
    green and blue in turn, most significant bit of the colour first. Any two of the first 255
    classes therefore differ by at least 32 of 255 in some channel, and no class is black.

    Args:
        num_classes: int, 1 to 65536.
        has_unknown: whether black is appended for the unknown id.

    Returns:
        `num_classes + has_unknown` colours (red, green, blue), 0 to 255 each.

    Raises:
        DataError: if `num_classes` is out of range.

    Reference: Everingham et al. 2010, "The PASCAL Visual Object Classes (VOC) Challenge".
    """
    if not 1 <= num_classes <= MAX_IDS:
        raise ArgumentError("num_classes", f"{num_classes} received; give 1 to {MAX_IDS}")
    colors = [_interleaved_color(index) for index in range(1, num_classes + 1)]
    return tuple(colors + [(0, 0, 0)] * has_unknown)


def _interleaved_color(index: int) -> Color:
    channels = [0, 0, 0]
    for bit in range(index.bit_length()):
        channels[bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
    return channels[0], channels[1], channels[2]


def features(
    has_instance: bool,
    num_ids: int = 256,
    *,
    condition_channels: int = 0,
    condition_bits: int = 8,
) -> tfds.features.FeaturesDict:
    """Returns the features of one record.

    Images stay as they were encoded, so a JPEG source is stored byte for byte.

    Args:
        has_instance: whether records carry an instance map.
        num_ids: number of distinct label ids, 1 to 65536; labels are stored in 8 bits up to 256
            ids and in 16 bits above.
        condition_channels: 0, or 1, 3 or 4 where a continuous map takes the label map's place.
        condition_bits: 8 or 16, of that map.

    Returns:
        `image` uint8 `[H, W, 3]`; `label` uint8 or uint16 `[H, W, 1]`, or `condition` uint8 or
        uint16 `[H, W, C]` in its place; `instance` uint16 `[H, W, 1]`, if there is one; `name`
        text.

    Raises:
        DataError: if an argument is out of range.
    """
    import numpy as np
    import tensorflow_datasets as tfds

    if condition_channels not in (0, 1, 3, 4) or condition_bits not in (8, 16):
        raise DataError(
            f"condition_channels, condition_bits: {condition_channels}, {condition_bits} received; "
            "give 1, 3 or 4 channels of 8 or 16 bits, or 0 channels"
        )
    if not condition_channels and not 1 <= num_ids <= MAX_IDS:
        raise ArgumentError("num_ids", f"{num_ids} received; give 1 to {MAX_IDS}")

    def ids(dtype: type[np.unsignedinteger]) -> tfds.features.Image:
        return tfds.features.Image(shape=(None, None, 1), dtype=dtype, encoding_format="png")

    record = {
        "image": tfds.features.Image(shape=(None, None, 3), dtype=np.uint8),
        "name": tfds.features.Text(),
    }
    if condition_channels:
        record["condition"] = tfds.features.Image(
            shape=(None, None, condition_channels),
            dtype=np.uint8 if condition_bits == 8 else np.uint16,
            encoding_format="png",
        )
    else:
        record["label"] = ids(np.uint8 if num_ids <= 256 else np.uint16)
    if has_instance:
        record["instance"] = ids(np.uint16)
    return tfds.features.FeaturesDict(record)


def with_canvas(features: tfds.features.FeaturesDict) -> tfds.features.FeaturesDict:
    """Returns the features of records that carry a canvas as well.

    Args:
        features: of the records without.

    Returns:
        These, and `canvas` uint8 `[H, W, 4]`: red, green, blue, and 255 where something covers
        the canvas, else 0.
    """
    import numpy as np
    import tensorflow_datasets as tfds

    canvas = tfds.features.Image(shape=(None, None, 4), dtype=np.uint8, encoding_format="png")
    return tfds.features.FeaturesDict({**features, "canvas": canvas})
