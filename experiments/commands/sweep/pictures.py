"""Draws the same held-out layouts by all variants of a sweep, from samples of the trainings."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spade_tf.training.pictures import read_columns, write_png

# Between the cells of a sample grid; see `spade_tf.training.pictures.grid`.
_GAP = 2
_INK, _PAPER = (32, 33, 36), (255, 255, 255)
_NAMES, _CELL, _SPACE, _MAX_COLUMNS = 330, 128, 6, 6

# As many of a name as fit into a line.
_CHARACTERS = 44

Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


def draw_pictures(folder: Path, results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws a PNG, whole or not at all: label maps, a row for each variant, real pictures.

    A variant is shown by its first seed that is done. One whose pictures have another size than
    those of the first row is left out. Nothing is drawn where there are no samples.

    Args:
        folder: workdir of the sweep.
        results: of runs, see `Run.finish`, in the order of the rows.
        path: of the file.
    """
    rows: list[tuple[str, list[np.ndarray]]] = []
    shown: set[str] = set()
    first: list[Triple] = []
    for result in results:
        if result["variant"] in shown:
            continue
        shown.add(result["variant"])
        triples = _samples(folder, result)
        if not triples or (first and triples[0][0].shape != first[0][0].shape):
            continue
        first = first or triples
        rows.append((result["title"], [generated for _, generated, _ in triples]))
    if not rows:
        return
    layouts = ("label map", [label for label, _, _ in first])
    real = ("real picture", [picture for _, _, picture in first])
    write_png(path, np.asarray(_drawn([layouts, *rows, real])))


def read_samples(path: Path, height: int, width: int) -> list[Triple]:
    """The pictures of a grid that a training has drawn.

    Args:
        path: PNG of rows of cells: label map, maybe canvas, generated, real, and so on; its
            description names them.
        height: of a cell, in pixels.
        width: of a cell.

    Returns:
        uint8 `[height, width, 3]`: label map, generated and real picture, for each sample.
    """
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    cells = [
        pixels[top : top + height, left : left + width]
        for top in range(0, pixels.shape[0], height + _GAP)
        for left in range(0, pixels.shape[1], width + _GAP)
    ]
    names = read_columns(path).split(" | ")
    label, generated, real = (
        cells[names.index(name) :: len(names)] for name in ("label", "generated", "real")
    )
    return list(zip(label, generated, real, strict=True))


def _samples(folder: Path, result: Mapping[str, Any]) -> list[Triple]:
    place = folder / result["variant"] / f"seed-{result['seed']}" / "samples"
    found = sorted(place.glob("step-*.png"))
    data = result["config"]["data"]
    return read_samples(found[-1], data["height"], data["width"]) if found else []


def _drawn(rows: Sequence[tuple[str, Sequence[np.ndarray]]]) -> Image.Image:
    columns = min(min(len(cells) for _, cells in rows), _MAX_COLUMNS)
    height, width = rows[0][1][0].shape[:2]
    cell_height = max(round(_CELL * height / width), 1)
    size = (_NAMES + columns * (_CELL + _SPACE), len(rows) * (cell_height + _SPACE))
    image = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(image)
    for row, (name, cells) in enumerate(rows):
        top = row * (cell_height + _SPACE)
        text = textwrap.fill(name, _CHARACTERS)
        pen.text(
            (_SPACE, top + cell_height / 2), text, _INK, ImageFont.load_default(15), anchor="lm"
        )
        for column, cell in enumerate(cells[:columns]):
            shown = Image.fromarray(cell).resize((_CELL, cell_height), Image.Resampling.LANCZOS)
            image.paste(shown, (_NAMES + column * (_CELL + _SPACE), top))
    return image
