"""Reads label map files as the ids that a model is trained on.

`prepare`, `doctor` and `generate` all read label maps with `read_label`. Exports do the same in
their graphs (`spade_tf.export.label_files`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.schema import LabelFiles, LabelSet
from pipelines.sources import inspection, pictures
from pipelines.sources.palettes import Palette


def describe_files(
    palette: Palette | None,
    off_palette_unknown: bool = False,
    *,
    id_table: Sequence[int] = (),
    palette_indices: bool = False,
) -> LabelFiles:
    """Returns how the label maps of a source are read.

    Args:
        palette: the palette that they are drawn in; None where they hold values.
        off_palette_unknown: whether colours off the palette are unknown, or refused.
        id_table: without a palette, the id of each value, -1 for values that may not be there.
        palette_indices: without a palette, whether indices of palette PNGs are values.
    """
    if palette is None:
        return LabelFiles(id_table=tuple(id_table), palette_indices=palette_indices)
    return LabelFiles(
        palette=Path(palette.name).name,
        colors=palette.colors,
        color_ids=palette.ids,
        off_palette_unknown=off_palette_unknown,
    )


def read_label(path: Path, label_set: LabelSet) -> tuple[np.ndarray, int]:
    """Reads a label map as its label set says.

    Args:
        path: the file.
        label_set: what it may hold, and how it is read.

    Returns:
        uint16 `[H, W]`, ids as a model is trained on them, and how many pixels had colours off
        the palette.

    Raises:
        BadFileError: if the file cannot be used.
    """
    files, num_classes = label_set.files, label_set.num_classes
    if files.colors:
        return inspection.map_colors(
            pictures.read_colors(path),
            path,
            Palette(
                name=files.palette,
                colors=files.colors,
                ids=files.color_ids,
                num_classes=num_classes,
                class_names=label_set.class_names,
                has_unknown=label_set.has_unknown,
            ),
            unknown=num_classes if files.off_palette_unknown else None,
        )
    ids = pictures.read_ids(path, palette_indices=files.palette_indices)
    if files.id_table:
        return inspection.map_ids(ids, path, files.id_table), 0
    return inspection.remap_label(ids, path, num_classes, label_set.has_unknown), 0
