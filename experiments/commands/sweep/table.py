"""The table of a sweep: numbers, Markdown, a plot and pictures, of all runs that are done."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.commands.sweep.pictures import draw_pictures
from experiments.commands.sweep.plot import draw_plot
from experiments.commands.sweep.runs import read_result
from experiments.setup.output import write_text
from pipelines.reading.attributes import ATTRIBUTES
from pipelines.reading.prepared import without_canvases
from pipelines.reading.preprocess import KEEP_SHAPE

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


def scores_of(features: Sequence[str], attributes: Sequence[str] = ()) -> list[Score]:
    """The columns.

    Args:
        features: names of the networks whose features were compared.
        attributes: names of what styles were tried on, such as "time of day".
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
    styles = [
        Score(
            name,
            ("attributes", name, "reproduced"),
            True,
            ("attributes", name, "classifier", "accuracy"),
        )
        for name in attributes
    ]
    # Whether there is more than one style is a question to models that know several.
    styles.append(Score("LPIPS of styles", ("lpips_styles",), True))
    return [*segmentation, *distances, *others, *styles]


def _scores_of(results: Sequence[Mapping[str, Any]]) -> list[Score]:
    """The columns that some result has."""
    features = dict.fromkeys(name for r in results for name in r["protocol"]["features"])
    attributes = dict.fromkeys(name for r in results for name in r["scores"].get("attributes", ()))
    return [
        score
        for score in scores_of(list(features), list(attributes))
        if any(isinstance(_find(result["scores"], score.path), Mapping) for result in results)
    ]


def write_tables(folder: Path, experiment: str, variants: Mapping[str, str]) -> str:
    """Writes the table of all runs that are done, with any settings.

    Args:
        folder: workdir of the sweep.
        experiment: what `--config` names.
        variants: what each variant is, by name, in the order of the rows.

    Returns:
        The table as Markdown; empty, and nothing written, if no run is done.
    """
    results = read_results(folder, variants)
    if not results:
        return ""
    content = summarise(experiment, variants, results)
    write_text(folder / SWEEP, json.dumps(content, indent=1) + "\n")
    text = markdown(content)
    write_text(folder / TABLE, text)
    draw_plot(content, folder / PLOT)
    draw_pictures(folder, results, folder / PICTURES)
    return text


def read_results(folder: Path, variants: Iterable[str]) -> list[dict[str, Any]]:
    """What came out of all runs of a sweep that are done.

    Args:
        folder: workdir of the sweep.
        variants: names, in the order of the rows.
    """
    return [
        result
        for name in variants
        for place in sorted(folder.glob(f"{name}/seed-*"), key=_seed)
        if (result := read_result(place)) is not None
    ]


def summarise(
    experiment: str, variants: Mapping[str, str], results: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The content of `sweep.json`.

    Args:
        experiment: what `--config` names.
        variants: what each variant is, by name.
        results: of runs, see `Run.finish`; at least one.
    """
    columns = _scores_of(results)
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
                    "style": mine[0]["protocol"].get("style"),
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
        ("evaluation protocols", _protocols(results)),
        ("numbers of steps", {r["config"]["train"]["steps"] for r in results}),
        ("batch sizes", {r["config"]["train"]["batch_size"] for r in results}),
        # With canvases beside them, maps and pictures are the same.
        ("data sets", {_text({**r["config"]["data"], "use_canvas": None}) for r in results}),
    ):
        if len(values) > 1:
            advice = "do not compare them"
            if what == "numbers of steps":
                advice = "compare them only if they took the same time"
            found.append(f"These runs have {len(values)} different {what}: {advice}.")
    return found


def _protocols(results: Sequence[Mapping[str, Any]]) -> set[str]:
    """The protocols, without what follows from the networks: canvases and a single style."""
    protocols = [dict(result["protocol"]) for result in results]
    styled = [each for each in protocols if each.get("style") != "none"]
    for each in protocols:
        if "dataset" in each:
            each["dataset"] = without_canvases(each["dataset"])
        if styled and each.get("style") == "none":
            # A network with a single style is scored as the others are, as far as it can be.
            each.update({key: styled[0].get(key) for key in ("style", "num_styles")})
        sizing = each.get("sizing", {})
        if sizing.get("preprocess") not in KEEP_SHAPE:
            # All pictures have one size then, whatever the network can make.
            each["sizing"] = {**sizing, "one_size": True}
        if each.get("segmenter"):
            each["segmenter"] = each["segmenter"]["weights_sha256"]
    return {_text(each) for each in protocols}


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def markdown(content: Mapping[str, Any], intervals: bool = False) -> str:
    """The table as Markdown.

    Args:
        content: of `summarise`.
        intervals: whether a score of one seed is followed by its interval over pictures.
    """
    columns = content["columns"]
    titles = [f"{c['title']} {_ARROWS[c['higher_is_better']]}" for c in columns]
    best = {c["title"]: _best(content["rows"], c["title"], c["higher_is_better"]) for c in columns}
    lines = [
        "| variant | generator | seeds | " + " | ".join(titles) + " |",
        "|---|---|---|" + "---|" * len(titles),
    ]
    for row in content["rows"]:
        cells = [_cell(row["scores"][c["title"]], best[c["title"]], intervals) for c in columns]
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
    brackets = " In brackets: interval of 95 % over pictures, of one seed." if intervals else ""
    return "\n".join(
        [
            *lines,
            "",
            f"{steps} steps of {batches} pictures of {' or '.join(content['datasets'])}, scored on "
            f"{counts} pictures that were held out. Generator: trained weights. ±: standard "
            f"deviation over seeds.{brackets} ↑: higher is better, ↓: lower, →: nearer to 1. Bold: "
            "the best mean. Real pictures: what the segmenter finds in them, and the distance of "
            f"one half of them to the other.{_of_styles(content)}",
            *warnings,
            "",
        ]
    )


def _of_styles(content: Mapping[str, Any]) -> str:
    """What is to be said of rows whose networks know several styles."""
    titles = [row["title"] for row in content["rows"] if row.get("style") == "photograph"]
    if not titles:
        return ""
    said = ""
    if len(titles) < len(content["rows"]):
        names = "; ".join(titles)
        said = f" With the style of the real picture, which other rows do not see: {names}."
    columns = {column["title"] for column in content["columns"]}
    attributes = [name for name in ATTRIBUTES if name in columns]
    if attributes:
        said += (
            f" {', '.join(attributes).capitalize()}: share of pictures with that of the photograph "
            "which gave the style, by a classifier; real pictures: its accuracy."
        )
    return said


def _best(rows: Sequence[Mapping[str, Any]], title: str, higher: bool | None) -> float:
    means = [row["scores"][title]["mean"] for row in rows if row["scores"][title]]
    if higher is None:
        return min(means, key=lambda mean: abs(mean - 1.0))
    return max(means) if higher else min(means)


def _cell(score: Mapping[str, Any] | None, best: float, intervals: bool) -> str:
    if score is None:
        return "–"
    text = _number(score["mean"])
    text = f"**{text}**" if score["mean"] == best else text
    if score["deviation"] is not None:
        return f"{text} ± {_number(score['deviation'])}"
    if not intervals:
        return text
    low, high = map(_number, score["intervals"][0])
    return f"{text} ({low} to {high})"


def _number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return ""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    return f"{value:.{max(2 - math.floor(math.log10(abs(value))), 0)}f}"


def describe(result: Mapping[str, Any]) -> str:
    """The scores of one run, in a line."""
    found = [(score.title, _find(result["scores"], score.path)) for score in _scores_of([result])]
    return ", ".join(f"{title} {_number(s['value'])}" for title, s in found)


def _seed(place: Path) -> int:
    text = place.name.removeprefix("seed-")
    return int(text) if text.isdecimal() else -1
