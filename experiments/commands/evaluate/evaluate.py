"""Scores a model's pictures against the real ones, and writes what was found."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.commands.evaluate.options import JudgedBy, Pictures, Styles, check_least
from experiments.setup.output import check_writable, write_text
from experiments.setup.predictors import Model, find_model

if TYPE_CHECKING:
    from experiments.commands.evaluate.gallery import Gallery

EVALUATION, REPORT = "evaluation.json", "report.html"

# Of 11 normal numbers, nine in ten 95 % intervals hold the mean; of 2, half do.
_FEWEST = 20


def evaluate(
    model: str | os.PathLike[str] | None = None,
    *,
    endpoint: str | None = None,
    model_name: str | None = None,
    output_dir: str | os.PathLike[str],
    pictures: Pictures | None = None,
    styles: Styles | None = None,
    judged_by: JudgedBy | None = None,
    batch_size: int = 8,
    strategy: str = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Scores a model's pictures, and writes `evaluation.json` and `report.html`.

    Args:
        model: the workdir of a training, or an exported SavedModel; None with an `endpoint`.
        endpoint: server to ask instead: `grpc://HOST:PORT` or `http://HOST:PORT`.
        model_name: name of the model on that server.
        output_dir: folder for the two files.
        pictures: which real pictures; default all that were held out.
        styles: which styles the pictures are made in.
        judged_by: what looks at the pictures.
        batch_size: int >= 1, most pairs at once.
        strategy: devices to run on; see `spade_tf.training.strategy.make_strategy`.
        cache_dir: folder that keeps what networks saw in real pictures, and the classifier of
            their attribute; None or "" to keep nothing.

    Returns:
        The content of `evaluation.json`.

    Raises:
        ConfigError: if an argument cannot be used.
        DataError: if a file cannot.
        ServingError: if a server does not answer.
    """
    pictures, styles = pictures or Pictures(), styles or Styles()
    judged_by = judged_by or JudgedBy()
    pictures.check()
    judged_by.check()
    check_least(num_styles=(styles.num_styles, 1), batch_size=(batch_size, 1))
    folder = Path(output_dir)
    check_writable(folder)
    loaded = find_model(model, endpoint, model_name)
    styles = styles.of(loaded)
    judged_by.check_independent_of(loaded)
    content, examples = _score(
        loaded,
        pictures,
        styles,
        judged_by,
        batch_size=batch_size,
        strategy=strategy,
        cache_dir=Path(cache_dir) if cache_dir else None,
    )
    source = str(model if endpoint is None else f"{endpoint} {model_name}")
    content["protocol"] = {"model": source, **content["protocol"]}
    _write(content, examples, folder)
    return content


def _score(
    model: Model,
    pictures: Pictures,
    styles: Styles,
    judged_by: JudgedBy,
    *,
    batch_size: int,
    strategy: str,
    cache_dir: Path | None,
) -> tuple[dict[str, Any], Gallery]:
    """The content of `evaluation.json` but for where the model is, and pictures to show."""
    # These import TensorFlow, which takes seconds: wrong arguments are found before.
    from experiments.commands.evaluate.attributes import train_judge
    from experiments.commands.evaluate.cache import RealCache
    from experiments.commands.evaluate.judges import load_judges
    from experiments.commands.evaluate.judging import judge, summarise
    from experiments.commands.evaluate.pairs import find_pairs
    from experiments.commands.evaluate.protocol import describe_protocol
    from spade_tf.training.strategy import make_strategy

    pairs = find_pairs(model, pictures)
    devices = make_strategy(strategy)
    with devices.scope():
        judges = load_judges(judged_by, model.labels)
    warnings = [*pairs.warnings, *_few_pictures(judges.features, pairs.count)]
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    classifier = None
    if judged_by.attribute and pictures.labels is None and model.z_dim:
        classifier = train_judge(model, pictures.data_dir, styles.seed, cache_dir)
    cache = RealCache(cache_dir, judges)
    rows, examples = judge(
        model,
        pairs,
        judges,
        styles,
        cache=cache,
        attribute=classifier,
        batch_size=batch_size,
        strategy=devices,
    )
    cache.save()
    content = {
        "scores": summarise(rows, judges, styles.seed, classifier),
        "protocol": describe_protocol(
            model, judges, pictures, styles, count=pairs.count, segmenter=judged_by.segmenter
        ),
        "class_names": list(model.labels.class_names),
        "warnings": warnings,
    }
    return content, examples


def _write(content: dict[str, Any], examples: Gallery, folder: Path) -> None:
    from experiments.commands.evaluate.report import write_report

    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / EVALUATION, json.dumps(content, indent=1) + "\n")
    write_report(folder / REPORT, content, examples)
    for name, score in flat_scores(content["scores"]):
        low, high = score["interval"]
        print(f"{name:<40} {score['value']:>10.4f}  [{low:.4f}, {high:.4f}]")
    print(f"{folder / REPORT} shows them with pictures", file=sys.stderr)


def _few_pictures(networks: Sequence[Any], count: int) -> list[str]:
    """Warnings of what so few pictures cannot tell."""
    few = []
    if count < _FEWEST:
        few = [f"intervals of {count} pictures are too narrow; give {_FEWEST} pictures or more"]
    return few + [
        f"FD({network.name}) of {count} pictures is biased upwards, as its features have "
        f"{network.num_features} numbers; compare KD, or give more pictures"
        for network in networks
        if count < network.num_features
    ]


def flat_scores(scores: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
    """The scores that have an interval, with their names, such as `segmentation/fake/mean_iou`."""
    found = []
    for name, value in scores.items():
        if isinstance(value, dict) and "interval" in value:
            found.append((prefix + name, value))
        elif isinstance(value, dict):
            found += flat_scores(value, f"{prefix}{name}/")
    return found
