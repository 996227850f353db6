"""A page that shows a training. It is updated during training and opens without a server."""

from __future__ import annotations

import base64
import html
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import keras

from spade_tf.training.pictures import read_columns
from spade_tf.training.svg import COLORS, element

_WIDTH, _HEIGHT = 640, 220

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1320px; margin: auto; }
body { padding: 2rem 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(480px, 1fr)); gap: 1rem; }
figure { margin: 0; } svg { width: 100%; height: auto; } img { max-width: 100%; }
svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
svg .grid { stroke: currentColor; stroke-opacity: .15; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; border-radius: 2px; }
pre { max-height: 24rem; overflow: auto; }
pre { background: rgb(127 127 127 / .12); padding: 1rem; border-radius: 6px; }
"""


class Report(keras.callbacks.Callback):
    """Writes `report.html` in a workdir: curves, sample grids, the configuration.

    Args:
        workdir: folder with `losses.jsonl`; `evaluation.jsonl`, `samples/` and `config.json` are
            shown if they exist.
        every: int >= 1, steps between two refreshes.
    """

    def __init__(self, workdir: str | os.PathLike[str], every: int = 500):
        super().__init__()
        self.workdir = Path(workdir)
        self.every = every

    def on_train_batch_end(self, batch, logs=None):
        """Refreshes the page."""
        if batch % self.every == 0:
            write_report(self.workdir)

    def on_train_end(self, logs=None):
        """Refreshes the page for the last time."""
        write_report(self.workdir)


def write_report(workdir: str | os.PathLike[str]) -> Path:
    """Writes the page.

    Args:
        workdir: folder of a training.

    Returns:
        The path of `report.html`, one file that holds everything.
    """
    workdir = Path(workdir)
    losses, evaluation = _lines(workdir / "losses.jsonl"), _lines(workdir / "evaluation.jsonl")
    names = sorted({name for record in losses for name in record if "/" in name})
    names = [name for name in names if not name.startswith("evaluation/")]
    groups: dict[str, list[str]] = {}
    for name in names:
        # The generator's losses differ in scale, so each gets its own plot.
        group = name if name.startswith(("generator/", "samples/")) else name.partition("/")[0]
        groups.setdefault(group, []).append(name)
    plots = [_plot(title, losses, curves) for title, curves in groups.items()]
    measured = sorted({name.rpartition("/")[2] for r in evaluation for name in r if "/" in name})
    for name in measured:
        curves = [f"evaluation/{mode}/{name}" for mode in ("inference", "training")]
        if name == "gap":
            curves = ["evaluation/gap"]
        plots.append(_plot(f"evaluation: {name}", evaluation, curves))
    samples = sorted((workdir / "samples").glob("*.png"))
    shown = [samples[-1]] if samples else []
    shown += [samples[i * (len(samples) - 1) // 4] for i in range(4)] if len(samples) > 5 else []
    pictures = "".join(
        f"<h2>{html.escape(f'{path.stem}: {read_columns(path)}')}</h2>"
        f'<img alt="samples of {html.escape(path.stem)}" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode()}">'
        for path in dict.fromkeys(shown)
    )
    config = workdir / "config.json"
    step = losses[-1]["step"] if losses else 0
    title = f"{html.escape(workdir.resolve().name)}: step {step}"
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" '
        f'content="60"><style>{_STYLE}</style><h1>{title}</h1><div class="plots">'
        f"{''.join(plots)}</div>{pictures}<h2>Configuration</h2>"
        f"<pre>{html.escape(config.read_text()) if config.exists() else ''}</pre></html>\n"
    )
    temporary = workdir / "report.html.part"
    temporary.write_text(page)
    os.replace(temporary, workdir / "report.html")
    return workdir / "report.html"


def _lines(path: Path) -> list[dict[str, float]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def _plot(title: str, records: Sequence[dict[str, float]], names: Sequence[str]) -> str:
    curves = {
        # NaN makes every comparison false, so it is left out.
        name: [(r["step"], r[name]) for r in records if abs(r.get(name, math.nan)) < 1e30]
        for name in names
    }
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return ""
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    if low == high:
        # A flat curve goes through the middle.
        low, high = low - (abs(low) or 1) / 10, high + (abs(high) or 1) / 10
    margin, plot_height = 52, _HEIGHT - 24

    def x_of(step):
        return margin + (step - left) / max(right - left, 1) * (_WIDTH - margin - 8)

    def y_of(value):
        return 6 + (high - value) / max(high - low, 1e-12) * (plot_height - 12)

    marks = []
    for i in range(5):
        value = low + (high - low) * i / 4
        y = y_of(value)
        marks += [
            element("line", class_="grid", x1=margin, x2=_WIDTH - 8, y1=y, y2=y),
            element("text", f"{value:.3g}", x=margin - 6, y=y + 4, text_anchor="end"),
        ]
    for step in sorted({round(left + (right - left) * i / 4) for i in range(5)}):
        anchor = "end" if step == right > left else "middle"
        marks.append(element("text", str(step), x=x_of(step), y=_HEIGHT - 6, text_anchor=anchor))
    lines, keys = [], []
    for color, (name, curve) in zip(COLORS, curves.items(), strict=False):
        # No more points than pixels.
        stride = max(len(curve) // _WIDTH, 1)
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in curve[::stride])
        lines.append(element("polyline", points=path, fill="none", stroke=color, stroke_width=1.5))
        if len(curve) == 1:
            ((x, y),) = curve
            lines.append(element("circle", cx=x_of(x), cy=y_of(y), r=3, fill=color))
        keys.append(f'<span class="key" style="background:{color}"></span>{html.escape(name)}')
    return (
        f"<figure><figcaption><b>{html.escape(title)}</b>{''.join(keys)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f"{''.join(marks)}{''.join(lines)}</svg></figure>"
    )
