"""The callbacks of a training: samples, evaluation, logs, checkpoints, report."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from experiments.setup.assemble import make_batches
from experiments.setup.config import Config
from experiments.setup.feature_networks import load_feature_network
from spade_tf.training import callbacks
from spade_tf.training.checkpoints import Checkpoints
from spade_tf.training.comparison import FeatureComparison
from spade_tf.training.evaluation import Evaluate, ReestimateStatistics
from spade_tf.training.report import Report
from spade_tf.training.tensorboard import TensorBoard


def make_callbacks(
    config: Config,
    builder: Any,
    labels: Any,
    workdir: Path,
    checkpoints: Any,
    chief: bool,
    profile_steps: tuple[int, int] | None,
) -> list[keras.callbacks.Callback]:
    """The callbacks of a training, in the order in which they are called.

    Args:
        config: of the training.
        builder: of its data set.
        labels: the label set.
        workdir: folder to write to.
        checkpoints: of the model.
        chief: whether this process writes; others only stop together with it.
        profile_steps: first and last step to profile, or None.
    """
    settings, every = config.train, config.train.log_every
    stop = callbacks.StopOnNonFinite(
        [every, settings.sample_every, settings.checkpoint_every, settings.eval_every or every]
    )
    if not chief:
        return [stop]
    split = config.data.val_split
    if split not in builder.info.splits:
        split = config.data.train_split
    samples = callbacks.SampleGrid(
        workdir / "samples",
        next(iter(_some_batches(config, builder, split, 1, settings.num_samples))),
        labels.palette,
        settings.sample_every,
    )
    batches = functools.partial(_some_batches, config, builder)
    result = [stop, *_statistics(config, batches), samples]
    if settings.eval_every:
        best = Checkpoints(checkpoints.model, workdir / "best", max_to_keep=1)
        log = workdir / "evaluation.jsonl"
        validation = batches(split, -1, settings.batch_size)
        comparison = None
        if settings.eval_features:
            network = load_feature_network(
                settings.eval_features, flag="--config.train.eval_features"
            )
            comparison = FeatureComparison(validation, network.features, settings.eval_images)
        result.append(
            Evaluate(
                validation,
                log,
                settings.eval_every,
                best,
                comparison=comparison,
                keep="inference/l1" if settings.keep_best == "l1" else settings.keep_best,
            )
        )
    result += [
        callbacks.JsonLines(workdir / "losses.jsonl", every),
        TensorBoard(
            workdir / "tensorboard", every, samples, settings.histograms_every, profile_steps
        ),
        callbacks.SaveCheckpoints(checkpoints, settings.checkpoint_every),
        Report(workdir, settings.sample_every),
        callbacks.ProgressBar(settings.batch_size, every),
    ]
    return result


def _some_batches(
    config: Config, builder: Any, split: str, count: int, size: int, training: bool = False
) -> tf.data.Dataset:
    """The first batches of a split; -1 for all."""
    dataset = make_batches(config, builder, split, training=training, batch_size=size)
    return dataset.take(count)


def _statistics(
    config: Config, batches: Callable[..., tf.data.Dataset]
) -> list[keras.callbacks.Callback]:
    """Estimates the averaged generator's batch statistics, where it has any."""
    settings = config.train
    if not settings.average_decay or config.generator.norm not in ("batch", "local_batch"):
        return []
    intervals = [settings.sample_every, settings.checkpoint_every]
    intervals += [settings.eval_every] * bool(settings.eval_every)
    count, size = settings.statistics_batches, settings.batch_size
    some = batches(config.data.train_split, count, size, training=True)
    return [ReestimateStatistics(some, intervals)]
