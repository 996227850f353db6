"""The table of a sweep: numbers, Markdown, a plot and pictures, of all runs that are done."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.commands.sweep.pictures import draw_pictures
from experiments.commands.sweep.plot import draw_plot
from experiments.commands.sweep.runs import read_result
from experiments.setup.output import write_text

_ARROWS = {True: "↑", False: "↓", None: "→"}
SWEEP, TABLE, PLOT, PICTURES = "sweep.json", "table.md", "table.svg", "pictures.png"


class Score(NamedTuple):
    """A column of the table.

    Attributes:
        title: of the column.
        path: of the score among those of an evaluation.
        higher: whether higher is better; None if best is what real pictures have, which is 1.
        real: path of what real pictures have, or None.
    """

    title: str
    path: tuple[str, ...]
    higher: bool | None
    real: tuple[str, ...] | None = None


def scores_of(features: Sequence[str]) -> list[Score]:
    """The columns.

    Args:
        features: names of the networks whose features were compared.
    """
    segmentation = [
        Score(title, ("segmentation", "fake", key), True, ("segmentation", "real", key))
        for title, key in (("mIoU", "mean_iou"), ("accuracy", "pixel_accuracy"))
    ]
    distances = [
        Score(f"{title}({name})", (name, key), False, (name, "floor", key))
        for name in features
        for title, key in (("FD", "frechet_distance"), ("KD", "kernel_distance"))
    ]
    others = [Score("LPIPS", ("lpips",), False), Score("sharpness", ("sharpness",), None)]
    return [*segmentation, *distances, *others]


def write_tables(folder: Path, experiment: str, variants: Mapping[str, str]) -> str:
    """Writes the table of all runs that are done, with any settings.

    Args:
        folder: workdir of the sweep.
        experiment: what `--config` names.
        variants: what each variant is, by name, in the order of the rows.

    Returns:
        The table as Markdown; empty, and nothing written, if no run is done.
    """
    results = [
        result
        for name in variants
        for place in sorted(folder.glob(f"{name}/seed-*"), key=_seed)
        if (result := read_result(place)) is not None
    ]
    if not results:
        return ""
    content = summarise(experiment, variants, results)
    write_text(folder / SWEEP, json.dumps(content, indent=1) + "\n")
    text = markdown(content)
    write_text(folder / TABLE, text)
    draw_plot(content, folder / PLOT)
    draw_pictures(folder, results, folder / PICTURES)
    return text


def summarise(
    experiment: str, variants: Mapping[str, str], results: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The content of `sweep.json`.

    Args:
        experiment: what `--config` names.
        variants: what each variant is, by name.
        results: of runs, see `Run.finish`; at least one.
    """
    features = dict.fromkeys(name for r in results for name in r["protocol"]["features"])
    columns = [
        score
        for score in scores_of(list(features))
        if any(isinstance(_find(result["scores"], score.path), Mapping) for result in results)
    ]
    rows = []
    for name, title in variants.items():
        mine = [result for result in results if result["variant"] == name]
        if mine:
            rows.append(
                {
                    "variant": name,
                    "title": title,
                    "seeds": [result["seed"] for result in mine],
                    "parameters": mine[0]["parameters"],
                    "scores": {score.title: _over_seeds(mine, score) for score in columns},
                }
            )
    return {
        "experiment": experiment,
        "columns": [{"title": c.title, "higher_is_better": c.higher} for c in columns],
        "rows": rows,
        "real": {c.title: _real(results, c) for c in columns},
        "steps": sorted({result["config"]["train"]["steps"] for result in results}),
        "batch_sizes": sorted({result["config"]["train"]["batch_size"] for result in results}),
        "counts": sorted({result["protocol"]["count"] for result in results}),
        "datasets": sorted({result["config"]["data"]["dataset"] for result in results}),
        "warnings": _warnings(results),
    }


def _over_seeds(results: Sequence[Mapping[str, Any]], score: Score) -> dict[str, Any] | None:
    found = [_find(result["scores"], score.path) for result in results]
    # A score without an interval is one of an earlier release.
    found = [each for each in found if isinstance(each, Mapping)]
    values = [each["value"] for each in found]
    if not values:
        return None
    return {
        "mean": statistics.fmean(values),
        # None: one seed says nothing of others.
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "values": values,
        "intervals": [each["interval"] for each in found],
    }


def _real(results: Sequence[Mapping[str, Any]], score: Score) -> float | None:
    """What real pictures have: the ceiling of a segmentation score, the floor of a distance."""
    if score.real is None:
        return 1.0 if score.higher is None else None
    for result in results:
        found = _find(result["scores"], score.real)
        if found is not None:
            return found["value"] if isinstance(found, Mapping) else found
    return None


def _find(scores: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(scores, Mapping) or key not in scores:
            return None
        scores = scores[key]
    return scores


def _warnings(results: Sequence[Mapping[str, Any]]) -> list[str]:
    found = []
    for what, values in (
        ("evaluation protocols", {json.dumps(r["protocol"], sort_keys=True) for r in results}),
        ("numbers of steps", {r["config"]["train"]["steps"] for r in results}),
        ("batch sizes", {r["config"]["train"]["batch_size"] for r in results}),
        ("data sets", {json.dumps(r["config"]["data"], sort_keys=True) for r in results}),
    ):
        if len(values) > 1:
            found.append(f"These runs have {len(values)} different {what}: do not compare them.")
    return found


def markdown(content: Mapping[str, Any]) -> str:
    """The table as Markdown.

    Args:
        content: of `summarise`.
    """
    columns = content["columns"]
    titles = [f"{c['title']} {_ARROWS[c['higher_is_better']]}" for c in columns]
    best = {c["title"]: _best(content["rows"], c["title"], c["higher_is_better"]) for c in columns}
    lines = [
        "| variant | generator | seeds | " + " | ".join(titles) + " |",
        "|---|---|---|" + "---|" * len(titles),
    ]
    for row in content["rows"]:
        cells = [_cell(row["scores"][c["title"]], best[c["title"]]) for c in columns]
        millions = row["parameters"]["generator"] / 1e6
        lines.append(
            f"| {row['title']} | {millions:.2f} M | {len(row['seeds'])} | {' | '.join(cells)} |"
        )
    real = [_number(content["real"][c["title"]]) for c in columns]
    lines.append(f"| real pictures | | | {' | '.join(real)} |")
    steps = " or ".join(f"{count:,}" for count in content["steps"])
    batches = " or ".join(map(str, content["batch_sizes"]))
    counts = " or ".join(f"{count:,}" for count in content["counts"])
    warnings = [f"\n**{line}**" for line in content["warnings"]]
    return "\n".join(
        [
            *lines,
            "",
            f"{steps} steps of {batches} pictures of {' or '.join(content['datasets'])}, scored on "
            f"{counts} pictures that were held out. Generator: trained weights. ±: standard "
            "deviation over seeds. ↑: higher is better, ↓: lower, →: nearer to 1. Bold: the best "
            "mean. Real pictures: what the segmenter finds in them, and the distance of one half "
            "of them to the other.",
            *warnings,
            "",
        ]
    )


def _best(rows: Sequence[Mapping[str, Any]], title: str, higher: bool | None) -> float:
    means = [row["scores"][title]["mean"] for row in rows if row["scores"][title]]
    if higher is None:
        return min(means, key=lambda mean: abs(mean - 1.0))
    return max(means) if higher else min(means)


def _cell(score: Mapping[str, Any] | None, best: float) -> str:
    if score is None:
        return "–"
    text = _number(score["mean"])
    text = f"**{text}**" if score["mean"] == best else text
    deviation = score["deviation"]
    return text if deviation is None else f"{text} ± {_number(deviation)}"


def _number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return ""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    return f"{value:.{max(2 - math.floor(math.log10(abs(value))), 0)}f}"


def describe(result: Mapping[str, Any]) -> str:
    """The scores of one run, in a line."""
    columns = scores_of(list(result["protocol"]["features"]))
    found = [(score.title, _find(result["scores"], score.path)) for score in columns]
    return ", ".join(f"{title} {_number(s['value'])}" for title, s in found if s)


def _seed(place: Path) -> int:
    text = place.name.removeprefix("seed-")
    return int(text) if text.isdecimal() else -1
