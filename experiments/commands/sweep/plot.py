"""Draws the scores of a sweep: a panel for each score, a line for each variant."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

_INK, _FAINT, _GRID, _PAPER = (32, 33, 36), (120, 124, 130), (228, 230, 233), (255, 255, 255)
_DOT, _MEAN = (31, 111, 235), (209, 36, 47)
_BETTER = {True: "higher", False: "lower", None: "nearer to 1"}
_SCALE = 2
_MARGIN, _ROW, _TITLE = 16, 22, 44
_NAMES, _PANEL, _GAP = 300, 230, 26


class _Axis(NamedTuple):
    left: float
    low: float
    high: float

    def x(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.left + _PANEL * min(max(share, 0.0), 1.0)


def draw_plot(content: Mapping[str, Any], path: Path) -> None:
    """Draws a PNG, whole or not at all.

    A dot is a seed, a thin line its 95 % interval over pictures, an upright line the mean of the
    seeds, a dashed line what real pictures have, where that is near.

    Args:
        content: of `summarise`.
        path: of the file.
    """
    columns, rows = content["columns"], content["rows"]
    width = _MARGIN + _NAMES + len(columns) * (_PANEL + _GAP) + _MARGIN
    height = _MARGIN + _TITLE + len(rows) * _ROW + 24 + _MARGIN
    image = Image.new("RGB", (width * _SCALE, height * _SCALE), _PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    top = _MARGIN + _TITLE
    for index, row in enumerate(rows):
        pen.text(_MARGIN, top + (index + 0.5) * _ROW, row["title"], _INK, 13, "lm")
    for place, column in enumerate(columns):
        title = column["title"]
        scores = [row["scores"][title] for row in rows]
        left = _MARGIN + _NAMES + place * (_PANEL + _GAP)
        axis = _axis(left, scores, content["real"][title])
        better = f"{_BETTER[column['higher_is_better']]} is better"
        pen.text(left, _MARGIN + 10, title, _INK, 14, "lm")
        pen.text(left, _MARGIN + 28, better, _FAINT, 11, "lm")
        _grid(pen, axis, top, len(rows) * _ROW)
        real = content["real"][title]
        if real is not None and axis.low <= real <= axis.high:
            pen.dashed(axis.x(real), top, top + len(rows) * _ROW, _FAINT)
        for index, score in enumerate(scores):
            if score is not None:
                _draw_score(pen, axis, score, top + (index + 0.5) * _ROW)
    temporary = path.with_name(path.name + ".part")
    image.save(temporary, "PNG")
    os.replace(temporary, path)


def _axis(left: float, scores: Sequence[Mapping[str, Any] | None], real: float | None) -> _Axis:
    found = [each for score in scores if score for each in score["values"]]
    found += [end for score in scores if score for pair in score["intervals"] for end in pair]
    low, high = min(found), max(found)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    # What real pictures have, where that leaves the others told apart.
    if real is not None and low - 1.5 * (high - low) <= real <= high + 1.5 * (high - low):
        low, high = min(low, real), max(high, real)
    return _Axis(left, low - room, high + room)


def _grid(pen: _Pen, axis: _Axis, top: float, height: float) -> None:
    for share in (0.1, 0.5, 0.9):
        value = axis.low + share * (axis.high - axis.low)
        x = axis.x(value)
        pen.line(x, top, x, top + height, _GRID)
        pen.text(x, top + height + 12, f"{value:.3g}", _FAINT, 11, "mm")


def _draw_score(pen: _Pen, axis: _Axis, score: Mapping[str, Any], y: float) -> None:
    count = len(score["values"])
    for index, (value, (low, high)) in enumerate(
        zip(score["values"], score["intervals"], strict=True)
    ):
        # Seeds side by side, so that they do not hide one another.
        at = y + (index - (count - 1) / 2) * min(12 / count, 5)
        pen.line(axis.x(low), at, axis.x(high), at, _FAINT)
        pen.dot(axis.x(value), at, _DOT)
    pen.line(axis.x(score["mean"]), y - 8, axis.x(score["mean"]), y + 8, _MEAN, 2)


class _Pen:
    """Draws at twice the size, for screens of many pixels."""

    def __init__(self, draw: ImageDraw.ImageDraw):
        self._draw = draw

    def text(self, x: float, y: float, text: str, color: Any, size: int, anchor: str) -> None:
        font = ImageFont.load_default(size * _SCALE)
        self._draw.text((x * _SCALE, y * _SCALE), text, color, font, anchor=anchor)

    def line(self, x0: float, y0: float, x1: float, y1: float, color: Any, width: int = 1) -> None:
        points = [value * _SCALE for value in (x0, y0, x1, y1)]
        self._draw.line(points, color, width * _SCALE)

    def dashed(self, x: float, top: float, bottom: float, color: Any) -> None:
        y = top
        while y < bottom:
            self.line(x, y, x, min(y + 4, bottom), color)
            y += 8

    def dot(self, x: float, y: float, color: Any) -> None:
        x, y = x * _SCALE, y * _SCALE
        self._draw.ellipse((x - 3 * _SCALE, y - 3 * _SCALE, x + 3 * _SCALE, y + 3 * _SCALE), color)
