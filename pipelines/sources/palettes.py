"""Turns the colours of label maps into ids."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.schema import MAX_IDS, ArgumentError, Color, DataError, LabelSet, default_palette
from pipelines.sources import label_sets
from pipelines.sources.texts import read_lines

_LABEL_SETS: dict[str, LabelSet] = {
    "ade20k": label_sets.ADE20K,
    "cityscapes": label_sets.CITYSCAPES,
    "coco_stuff": label_sets.COCO_STUFF,
    "facades": label_sets.FACADES,
    "voc": label_sets.VOC,
}

PALETTES = tuple(_LABEL_SETS)

# NAME:RED,GREEN,BLUE:PARTS:ACTIONS
_CVAT_LINE = re.compile(r"([^:]+):(\d+),\s*(\d+),\s*(\d+):[^:]*:[^:]*")

FORMAT = "one line per colour: ID RED GREEN BLUE [NAME], with ID a number or the word unknown"


class Palette(NamedTuple):
    """Which colour stands for which id.

    Attributes:
        name: of the palette, or of its file.
        colors: the colours.
        ids: their ids; that of unknown is `num_classes`.
        num_classes: number of classes, unknown not counted.
        class_names: their names, id 0 first; none if the file gives none.
        has_unknown: whether a colour stands for unknown.
        shared: the colours that stand for several ids, and are read as the lowest of them.
    """

    name: str
    colors: tuple[Color, ...]
    ids: tuple[int, ...]
    num_classes: int
    class_names: tuple[str, ...]
    has_unknown: bool
    shared: tuple[Color, ...] = ()

    def to_ids(self, colors: np.ndarray) -> np.ndarray:
        """Looks up the id of every pixel.

        Args:
            colors: uint8 array `[H, W, 3]`, or `[H, W, 4]` with an alpha channel.

        Returns:
            int32 array `[H, W]`, -1 where a colour is not in the palette, or not opaque.
        """
        codes = _codes(np.asarray(self.colors, np.uint8))
        order = np.argsort(codes)
        known, ids = codes[order], np.asarray(self.ids, np.int32)[order]
        wanted = _codes(colors[..., :3])
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        inside = known[at] == wanted
        if colors.shape[-1] == 4:
            inside &= colors[..., 3] == 255
        return np.where(inside, ids[at], np.int32(-1))

    def of_classes(self, num_classes: int | None) -> Palette:
        """Returns the palette for a number of classes.

        Tools that export in VOC's colours give class `i` entry `i` of VOC's colour map, however
        many classes there are; every other palette has the classes that it has.
        """
        if self.name != "voc" or num_classes in (None, self.num_classes):
            return self
        colors = ((0, 0, 0), *default_palette(max(num_classes - 1, 1), has_unknown=False))
        entries = list(zip(colors[:num_classes], range(num_classes), strict=True))
        entries.append((self.colors[-1], num_classes))
        return _from_entries(self.name, entries, (), has_unknown=True)


def _codes(colors: np.ndarray) -> np.ndarray:
    r, g, b = np.moveaxis(colors.astype(np.int32), -1, 0)
    return r << 16 | g << 8 | b


def load_palette(name: str | os.PathLike[str]) -> Palette:
    """Returns a palette by its name, or from a file.

    Args:
        name: one of `PALETTES`, or the path of a text file: one line per colour, `ID RED GREEN
            BLUE [NAME]`; the ID is a number from 0 on, or the word `unknown`; several colours may
            have the same ID; what follows a `#` is not read. Or the `labelmap.txt` that CVAT
            exports with masks, `NAME:RED,GREEN,BLUE:PARTS:ACTIONS`, whose order gives the ids.

    Raises:
        DataError: if there is no such palette, or the file cannot be used.
    """
    if str(name) in _LABEL_SETS:
        label_set = _LABEL_SETS[str(name)]
        return _from_entries(
            str(name),
            list(zip(label_set.palette, range(label_set.num_ids), strict=True)),
            label_set.class_names,
            label_set.has_unknown,
        )
    path = Path(name).expanduser()
    if not path.exists():
        raise ArgumentError(
            "palette",
            f"{name} is neither one of {', '.join(PALETTES)} nor a file that can be read "
            f"(No such file or directory); give one of them ({FORMAT})",
        )
    return _from_file(path, _from_cvat(read_lines(path)))


def palette_options(name: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Returns the options of a builder for what `--palette` says.

    Args:
        name: as for `load_palette`, or `"indices"` where palette indices are the ids, or None.

    Raises:
        DataError: as `load_palette`.
    """
    if name is None:
        return {}
    if str(name) == "indices":
        return {"palette": None, "palette_indices": True}
    return {"palette": load_palette(name)}


def _from_cvat(lines: list[str]) -> list[str]:
    """Returns the lines of a CVAT label map as those of a palette; other lines as they are."""
    written = [line for line in lines if line.strip() and not line.startswith("#")]
    found = [_CVAT_LINE.fullmatch(line.strip()) for line in written]
    if not all(found):
        return lines
    fields = [match.groups() for match in found if match]
    return [f"{i} {r} {g} {b} {name}" for i, (name, r, g, b) in enumerate(fields)]


def _from_file(path: Path, lines: list[str]) -> Palette:
    entries: list[tuple[Color, int]] = []
    names: dict[int, str] = {}
    seen: dict[Color, int] = {}
    unknown: list[Color] = []
    for number, line in enumerate(lines, start=1):
        fields = line.partition("#")[0].split(maxsplit=4)
        if not fields:
            continue
        try:
            r, g, b = (int(field) for field in fields[1:4])
            color = (r, g, b)
            is_unknown = fields[0].lower() == "unknown"
            index = -1 if is_unknown else int(fields[0])
            valid = all(0 <= channel <= 255 for channel in color)
            valid = valid and (is_unknown or 0 <= index < MAX_IDS - 1)
        except ValueError:
            valid = False
        if not valid:
            raise DataError(f"{path}: line {number} is {line.strip()!r}; write {FORMAT}")
        if color in seen:
            raise DataError(
                f"{path}: line {number} gives colour {color} again, which line {seen[color]} has; "
                "give every colour one id"
            )
        seen[color] = number
        if is_unknown:
            unknown.append(color)
        else:
            entries.append((color, index))
            if len(fields) == 5:
                names[index] = fields[4].strip()
    if not entries:
        raise DataError(f"{path}: no colours in it; write {FORMAT}")
    num_classes = max(index for _, index in entries) + 1
    missing = sorted(set(range(num_classes)) - {index for _, index in entries})
    if missing:
        raise DataError(
            f"{path}: no colour for id {missing[0]}, though ids go up to {num_classes - 1}; "
            "number the classes without gaps"
        )
    entries += [(color, num_classes) for color in unknown]
    class_names = tuple(names.get(index, f"class {index}") for index in range(num_classes))
    return _from_entries(str(path), entries, class_names if names else (), bool(unknown))


def _from_entries(
    name: str, entries: list[tuple[Color, int]], class_names: tuple[str, ...], has_unknown: bool
) -> Palette:
    first: dict[Color, int] = {}
    shared: list[Color] = []
    for color, index in entries:
        if color in first:
            shared.append(color)
        first.setdefault(color, index)
    num_ids = max(index for _, index in entries) + 1
    return Palette(
        name=name,
        colors=tuple(first),
        ids=tuple(first.values()),
        num_classes=num_ids - has_unknown,
        class_names=class_names,
        has_unknown=has_unknown,
        shared=tuple(dict.fromkeys(shared)),
    )
