"""Scores a model's pictures against the real ones, and writes what was found."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.setup.config import ConfigError
from experiments.setup.feature_networks import SIZES, check_independent
from experiments.setup.output import check_writable, write_text
from experiments.setup.predictors import Model, find_model

if TYPE_CHECKING:
    from experiments.commands.evaluate.gallery import Gallery

FEATURES = tuple(SIZES)
EVALUATION, REPORT = "evaluation.json", "report.html"


def evaluate(
    model: str | os.PathLike[str] | None = None,
    *,
    endpoint: str | None = None,
    model_name: str | None = None,
    output_dir: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    images: str | os.PathLike[str] | None = None,
    instances: str | os.PathLike[str] | None = None,
    data_dir: str | None = None,
    split: str | None = None,
    max_images: int | None = None,
    features: Sequence[str] = ("efficientnet_lite2",),
    inception_weights: str | os.PathLike[str] | None = None,
    lpips: bool = True,
    segmenter: str | os.PathLike[str] | None = None,
    style: str | None = None,
    num_styles: int = 2,
    batch_size: int = 8,
    seed: int = 0,
    strategy: str = "auto",
    attribute: bool = True,
    cache_dir: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Scores a model's pictures, and writes `evaluation.json` and `report.html`.

    Args:
        model: the workdir of a training, or an exported SavedModel; None with an `endpoint`.
        endpoint: server to ask instead: `grpc://HOST:PORT` or `http://HOST:PORT`.
        model_name: name of the model on that server.
        output_dir: folder for the two files.
        labels: folder of label maps; None for a split of the model's data set.
        images: folder of the photographs of `labels`.
        instances: folder of the instance maps of `labels`, or None.
        data_dir: folder of the model's data set, if it was moved.
        split: of that data set; None for the one that was held out.
        max_images: int >= 2, how many pairs; None for all.
        features: names of the networks whose features are compared, of `FEATURES`.
        inception_weights: file of FID's network, `pt_inception-2015-12-05-6726825d.pth`; with
            "inception" among `features`.
        lpips: whether perceptual distances are measured.
        segmenter: workdir of a `segment`, or None for no segmentation scores.
        style: "photograph", the style of the real picture, or "drawn"; None for "photograph" where
            the model has an encoder.
        num_styles: int >= 1, styles of each layout that are compared with each other.
        batch_size: int >= 1.
        seed: int, of drawn styles, subsets and intervals.
        strategy: devices to run on; see `spade_tf.training.strategy.make_strategy`.
        attribute: whether to find out how true styles are, where the data set has an attribute
            such as the time of day.
        cache_dir: folder that keeps what networks saw in real pictures; None or "" to keep
            nothing.

    Returns:
        The content of `evaluation.json`.

    Raises:
        ConfigError: if an argument cannot be used.
        DataError: if a file cannot.
        ServingError: if a server does not answer.
    """
    _check_arguments(labels, images, instances, max_images, num_styles, batch_size)
    _check_names(features, inception_weights)
    folder = Path(output_dir)
    check_writable(folder)
    loaded = find_model(model, endpoint, model_name)
    style = _style(loaded, style)

    from experiments.commands.evaluate.attributes import train_judge
    from experiments.commands.evaluate.cache import RealCache
    from experiments.commands.evaluate.judges import load_judges
    from experiments.commands.evaluate.judging import judge, summarise
    from experiments.commands.evaluate.pairs import folder_pairs, split_pairs
    from experiments.commands.evaluate.protocol import describe_protocol
    from spade_tf.training.strategy import make_strategy

    for name in features:
        check_independent("--features", name, loaded.loss_networks)
    warnings: list[str] = []
    if labels is not None and images is not None:
        available, pairs, warnings = folder_pairs(loaded, labels, images, instances)
    else:
        available, pairs = split_pairs(loaded, data_dir, split)
    count = _count(available, max_images)
    devices = make_strategy(strategy)
    with devices.scope():
        judges = load_judges(features, inception_weights, lpips, segmenter, loaded.labels)
    warnings += _few_pictures(judges.features, count)
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    classifier = None
    if attribute and labels is None and loaded.z_dim:
        classifier = train_judge(loaded, data_dir, seed)
    cache = RealCache(Path(cache_dir) if cache_dir else None, judges)
    styles: dict[str, Any] = {
        "style": style,
        "num_styles": num_styles if loaded.z_dim else 1,
        "seed": seed,
    }
    rows, examples = judge(
        loaded,
        itertools.islice(pairs, count),
        judges,
        cache=cache,
        attribute=classifier,
        count=count,
        batch_size=batch_size,
        strategy=devices,
        **styles,
    )
    cache.save()
    content = {
        "scores": summarise(rows, judges, seed, loaded.sizing["multiple"], classifier),
        "protocol": describe_protocol(
            loaded,
            judges,
            source=str(model if endpoint is None else f"{endpoint} {model_name}"),
            labels=labels,
            split=split,
            count=count,
            segmenter=segmenter,
            **styles,
        ),
        "class_names": list(loaded.labels.class_names),
        "warnings": warnings,
    }
    _write(content, examples, folder)
    return content


def _count(available: int, max_images: int | None) -> int:
    """How many pictures are scored."""
    count = min(available, max_images or available)
    if count < 2:
        raise ConfigError(f"{count} pair of picture and map: distances need 2 or more")
    return count


def _write(content: dict[str, Any], examples: Gallery, folder: Path) -> None:
    from experiments.commands.evaluate.report import write_report

    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / EVALUATION, json.dumps(content, indent=1) + "\n")
    write_report(folder / REPORT, content, examples)
    _print(content, folder)


def _few_pictures(networks: Sequence[Any], count: int) -> list[str]:
    """A warning for each network with more features than there are pictures."""
    return [
        f"FD({network.name}) of {count} pictures is biased upwards, as its features have "
        f"{network.num_features} numbers; compare KD, or give more pictures"
        for network in networks
        if count < network.num_features
    ]


def _check_arguments(labels, images, instances, max_images, num_styles, batch_size) -> None:
    if (labels is None) != (images is None):
        given, missing = ("labels", "images") if images is None else ("images", "labels")
        raise ConfigError(
            f"--{given}: no effect without --{missing}; give both, or neither for the "
            "validation split"
        )
    for name, folder in (("labels", labels), ("images", images), ("instances", instances)):
        if folder is not None and not Path(folder).is_dir():
            raise ConfigError(f"--{name}={folder}: no such folder; give a folder of pictures")
    for name, value, least in (
        ("max_images", max_images, 2),
        ("num_styles", num_styles, 1),
        ("batch_size", batch_size, 1),
    ):
        if value is not None and value < least:
            raise ConfigError(f"--{name}={value}: give {least} or more")


def _check_names(features: Sequence[str], inception_weights: str | os.PathLike[str] | None) -> None:
    if not features:
        raise ConfigError(f"--features=: give some of {', '.join(FEATURES)}")
    for name in features:
        if name not in FEATURES:
            raise ConfigError(f"--features={name}: give some of {', '.join(FEATURES)}")
    if "inception" in features and inception_weights is None:
        raise ConfigError(
            "--features=inception: no package holds its weights; give "
            "--inception_weights=pt_inception-2015-12-05-6726825d.pth"
        )


def _style(model: Model, style: str | None) -> str:
    if model.z_dim is None:
        if style is not None:
            raise ConfigError(f"--style={style}: this model knows one style only; leave it out")
        return "none"
    if style == "photograph" and not model.has_encoder:
        raise ConfigError("--style=photograph: this model has no encoder; give --style=drawn")
    return style or ("photograph" if model.has_encoder else "drawn")


def _print(content: dict[str, Any], folder: Path) -> None:
    for name, score in flat_scores(content["scores"]):
        low, high = score["interval"]
        print(f"{name:<40} {score['value']:>10.4f}  [{low:.4f}, {high:.4f}]")
    print(f"{folder / REPORT} shows them with pictures", file=sys.stderr)


def flat_scores(scores: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
    """The scores that have an interval, with their names, such as `segmentation/fake/mean_iou`."""
    found = []
    for name, value in scores.items():
        if isinstance(value, dict) and "interval" in value:
            found.append((prefix + name, value))
        elif isinstance(value, dict):
            found += flat_scores(value, f"{prefix}{name}/")
    return found
