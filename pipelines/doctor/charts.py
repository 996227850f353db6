"""Draws a bar chart of a data set's ids, and a sheet of photographs with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipelines.schema import Color
from pipelines.sources.inspection import scale_ids
from pipelines.sources.listing import enumerate_few

_INK = (32, 33, 36)
_FAINT = (120, 124, 130)
_GRID = (228, 230, 233)
_PAPER = (255, 255, 255)

_MARGIN = 24
_ROW = 22
_BAR = 14
_NAME_WIDTH = 190
_PLOT_WIDTH = 560
_MAX_BARS = 60
# The axis is logarithmic: smaller shares are drawn like this one.
_SMALLEST_SHARE = 1e-5

_TILE = 320
_GAP = 12
_CAPTION = 20
_LINE = 17


class Sample(NamedTuple):
    """One example of the sheet.

    Attributes:
        name: written below the picture.
        image: uint8 `[H, W, 3]`.
        label: integer `[H, W]`.
    """

    name: str
    image: np.ndarray
    label: np.ndarray


def histogram(
    title: str, names: Sequence[str], shares: Sequence[float], palette: Sequence[Color]
) -> Image.Image:
    """Draws the share of the pixels that each id has, largest share first.

    Args:
        title: written above the chart.
        names: names of the ids.
        shares: shares of the ids, 0 to 1.
        palette: colours of the ids.
    """
    order = sorted(range(len(names)), key=lambda index: (-shares[index], index))
    used = [index for index in order if shares[index] > 0]
    shown = used[:_MAX_BARS]
    notes = []
    if len(used) > len(shown):
        rest = sum(shares[index] for index in used[len(shown) :])
        notes.append(f"{len(used) - len(shown)} more ids share {_percent(rest)}")
    if unused := [name for name, share in zip(names, shares, strict=True) if not share]:
        notes.append(f"never used: {enumerate_few(unused)}")
    top = _MARGIN + 44
    height = top + _ROW * len(shown) + 34 + 18 * len(notes) + _MARGIN
    width = _MARGIN + _NAME_WIDTH + _PLOT_WIDTH + 80 + _MARGIN
    chart = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(chart)
    draw.text((_MARGIN, _MARGIN - 6), title, _INK, _font(18))
    draw.text((_MARGIN, _MARGIN + 18), "share of all pixels, logarithmic", _FAINT, _font(12))
    left = _MARGIN + _NAME_WIDTH
    bottom = top + _ROW * len(shown) + 4
    for exponent in range(-5, 1):
        x = left + _position(10.0**exponent)
        draw.line((x, top, x, bottom), _GRID)
        draw.text((x, bottom + 6), _percent(10.0**exponent), _FAINT, _font(11), anchor="ma")
    for row, index in enumerate(shown):
        y = top + row * _ROW + (_ROW - _BAR) // 2
        middle = y + _BAR // 2
        name = _fitting(f"{names[index]}  {index}", _NAME_WIDTH - 10, _font(12))
        draw.text((left - 8, middle), name, _INK, _font(12), anchor="rm")
        end = left + max(_position(shares[index]), 2)
        outline = _GRID if min(palette[index]) > 225 else None
        draw.rectangle((left, y, end, y + _BAR), palette[index], outline)
        draw.text((end + 6, middle), _percent(shares[index]), _FAINT, _font(11), anchor="lm")
    for number, note in enumerate(notes):
        draw.text((left, bottom + 30 + 18 * number), note, _FAINT, _font(12))
    return chart


def _position(share: float) -> int:
    decades = np.log10(max(share, _SMALLEST_SHARE) / _SMALLEST_SHARE)
    return round(_PLOT_WIDTH * decades / -np.log10(_SMALLEST_SHARE))


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.3g} %" if percent >= 0.0095 else f"{percent:.1g} %"


def contact_sheet(
    samples: Sequence[Sample], names: Sequence[str], palette: Sequence[Color], *, columns: int = 2
) -> Image.Image:
    """Draws each photograph twice, side by side: plain, and with its labels over it in colours.

    Borders between ids are white. The ids of each picture are named below it, the largest first.

    Args:
        samples: the examples.
        names: names of the ids.
        palette: colours of the ids.
        columns: number of pairs of pictures beside one another.
    """
    cells = [_cell(sample, names, palette) for sample in samples]
    columns = max(1, min(columns, len(cells)))
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) for row in rows]
    width = columns * (2 * _TILE + _GAP) + (columns + 1) * 2 * _GAP
    height = sum(heights) + (len(rows) + 1) * 2 * _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    y = 2 * _GAP
    for row, row_height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (2 * _GAP + column * (2 * _TILE + 3 * _GAP), y))
        y += row_height + 2 * _GAP
    return sheet


def _cell(sample: Sample, names: Sequence[str], palette: Sequence[Color]) -> Image.Image:
    height, width = sample.label.shape
    tile_height = max(1, min(round(_TILE * height / width), 2 * _TILE))
    photo = Image.fromarray(sample.image).resize((_TILE, tile_height), Image.Resampling.BICUBIC)
    label = scale_ids(sample.label, tile_height, _TILE)
    colors = np.asarray(palette, np.float32)[label]
    blended = 0.45 * np.asarray(photo, np.float32) + 0.55 * colors
    border = np.zeros(label.shape, bool)
    border[1:] |= label[1:] != label[:-1]
    border[:, 1:] |= label[:, 1:] != label[:, :-1]
    blended[border] = 255
    legend = _legend(sample.label, names)
    lines_below = max(line for line, *_ in legend)
    caption = 2 * _CAPTION + max(lines_below - 1, 0) * _LINE
    cell = Image.new("RGB", (2 * _TILE + _GAP, tile_height + caption), _PAPER)
    cell.paste(photo, (0, 0))
    cell.paste(Image.fromarray(blended.round().astype(np.uint8)), (_TILE + _GAP, 0))
    draw = ImageDraw.Draw(cell)
    middle = tile_height + _CAPTION // 2 + 2
    draw.text((0, middle), _fitting(sample.name, _TILE, _font(12)), _INK, _font(12), anchor="lm")
    for line, left, index in legend:
        x, y = _TILE + _GAP + left, middle + line * _LINE
        draw.rectangle((x, y - 5, x + 9, y + 4), palette[index], _GRID)
        draw.text((x + 13, y), str(names[index]), _FAINT, _font(11), anchor="lm")
    return cell


def _legend(label: np.ndarray, names: Sequence[str]) -> list[tuple[int, int, int]]:
    """The line, the pixels from the left and the id of each entry, the largest ids first."""
    counts = np.bincount(label.ravel(), minlength=len(names))
    entries: list[tuple[int, int, int]] = []
    line = x = 0
    for index in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]:
        needed = 24 + round(_font(11).getlength(str(names[index])))
        if x and x + needed > _TILE:
            line, x = line + 1, 0
        entries.append((line, x, int(index)))
        x += needed
    return entries


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _fitting(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
