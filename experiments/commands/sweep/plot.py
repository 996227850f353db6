"""Draws the scores of a sweep: a panel for each score, a line for each variant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.setup.output import write_text
from spade_tf.training.svg import COLORS, element

_INK, _FAINT, _GRID = "#202124", "#787c82", "#e4e6e9"
_DOT, _MEAN = COLORS[:2]
_BETTER = {True: "higher", False: "lower", None: "nearer to 1"}
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
    """Draws an SVG file, whole or not at all.

    A dot is a seed, a thin line its 95 % interval over pictures, an upright line the mean of the
    seeds, a dashed line what real pictures have, where that is near.

    Args:
        content: of `summarise`.
        path: of the file.
    """
    columns, rows = content["columns"], content["rows"]
    width = _MARGIN + _NAMES + len(columns) * (_PANEL + _GAP) + _MARGIN
    top, rows_height = _MARGIN + _TITLE, len(rows) * _ROW
    height = top + rows_height + 24 + _MARGIN
    parts = [element("rect", width=width, height=height, fill="white")]
    parts += [
        _text(_MARGIN, top + (index + 0.5) * _ROW, row["title"], _INK, 13)
        for index, row in enumerate(rows)
    ]
    for place, column in enumerate(columns):
        title = column["title"]
        scores = [row["scores"][title] for row in rows]
        real = content["real"][title]
        axis = _axis(float(_MARGIN + _NAMES + place * (_PANEL + _GAP)), scores, real)
        better = f"{_BETTER[column['higher_is_better']]} is better"
        parts.append(_text(axis.left, _MARGIN + 10, title, _INK, 14))
        parts.append(_text(axis.left, _MARGIN + 28, better, _FAINT, 11))
        parts += _grid(axis, top, rows_height)
        if real is not None and axis.low <= real <= axis.high:
            x = axis.x(real)
            parts.append(_line(x, top, x, top + rows_height, _FAINT, stroke_dasharray="4"))
        for index, score in enumerate(scores):
            if score is not None:
                parts += _score(axis, score, top + (index + 0.5) * _ROW)
    write_text(
        path,
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif">\n'
        + "\n".join(parts)
        + "\n</svg>\n",
    )


def _axis(left: float, scores: Sequence[Mapping[str, Any] | None], real: float | None) -> _Axis:
    found = [each for score in scores if score for each in score["values"]]
    found += [end for score in scores if score for pair in score["intervals"] for end in pair]
    low, high = min(found), max(found)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    # What real pictures have, where that leaves the others told apart.
    if real is not None and low - 1.5 * (high - low) <= real <= high + 1.5 * (high - low):
        low, high = min(low, real), max(high, real)
    return _Axis(left, low - room, high + room)


def _grid(axis: _Axis, top: float, height: float) -> Iterator[str]:
    for share in (0.1, 0.5, 0.9):
        value = axis.low + share * (axis.high - axis.low)
        x = axis.x(value)
        yield _line(x, top, x, top + height, _GRID)
        yield _text(x, top + height + 12, f"{value:.3g}", _FAINT, 11, text_anchor="middle")


def _score(axis: _Axis, score: Mapping[str, Any], y: float) -> Iterator[str]:
    count = len(score["values"])
    for index, (value, (low, high)) in enumerate(
        zip(score["values"], score["intervals"], strict=True)
    ):
        # Seeds side by side, so that they do not hide one another.
        at = y + (index - (count - 1) / 2) * min(12 / count, 5)
        yield _line(axis.x(low), at, axis.x(high), at, _FAINT)
        yield element("circle", cx=axis.x(value), cy=at, r=3, fill=_DOT)
    mean = axis.x(score["mean"])
    yield _line(mean, y - 8, mean, y + 8, _MEAN, stroke_width=2)


def _text(x: float, y: float, text: str, fill: str, size: int, **more: Any) -> str:
    return element(
        "text", text, x=x, y=y, fill=fill, font_size=size, dominant_baseline="middle", **more
    )


def _line(x1: float, y1: float, x2: float, y2: float, stroke: str, **more: Any) -> str:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **more)
