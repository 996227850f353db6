"""Callbacks that evaluate the model on held-out pictures during training."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from spade_tf.layers.nested import nested_layers
from spade_tf.layers.normalization import BatchNorm
from spade_tf.layers.state import hold_state
from spade_tf.networks.styles import encode_style, style_length, styled
from spade_tf.training.checkpoints import Checkpoints
from spade_tf.training.comparison import FeatureComparison, traced_once
from spade_tf.training.gaugan import GauGAN


class ReestimateStatistics(keras.callbacks.Callback):
    """Gives the averaged generator its own batch statistics.

    The trained generator's running averages do not describe the activations of averaged weights.
    This callback replaces them by the plain average over some batches. Put it before callbacks that
    use the averaged generator at the same step.

    Args:
        batches: the batches to average over, the same each time.
        intervals: ints >= 1; it estimates at the multiples of each.

    Reference: Yaz et al. 2018, https://arxiv.org/abs/1806.04498 (averages); Wu & Johnson 2021,
        section 3, https://arxiv.org/abs/2105.07576 (statistics estimated again).
    """

    def __init__(self, batches: tf.data.Dataset, intervals: Sequence[int]):
        super().__init__()
        self.batches = batches
        self.intervals = tuple(intervals)

    def on_train_begin(self, logs=None):
        """Drops what an earlier training traced."""
        self.function = traced_once(self._generate, self.batches)
        self.step = self.params["start_step"]
        self.estimated = self.step

    def on_train_batch_end(self, batch, logs=None):
        """Estimates the statistics if it is time."""
        self.step = batch
        at_end = batch == self.params["steps"]
        if at_end or any(batch % interval == 0 for interval in self.intervals):
            self.estimate()

    def on_train_end(self, logs=None):
        """Estimates the statistics for the last step."""
        if self.estimated != self.step:
            self.estimate()

    def estimate(self) -> None:
        """Estimates the statistics from all batches."""
        for norm in _batch_norms(self.model.average_generator):
            norm.num_batches.assign(0)
        for batch in self.batches:
            self.function(batch)
        self.estimated = self.step

    def _generate(self, batch):
        model: GauGAN = self.model
        generator: keras.Model = model.average_generator
        norms = _batch_norms(generator)
        semantics, style = model.semantics(batch), None
        if style_length(generator):
            style = model.noise(tf.shape(batch["image"])[0], 0)
            if model.encoder is not None:
                style = model.sampling(
                    *encode_style(model.encoder, batch["image"], semantics), noise=style
                )
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = None
        try:
            with hold_state(statistics=False):
                generator(**styled(generator, semantics, style), training=True)
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


class Evaluate(keras.callbacks.Callback):
    """Runs the model's `evaluation_losses` over a data set at regular steps.

    Means are appended to a JSON Lines file, and added to the logs of the step as `evaluation/...`.
    `evaluation/gap` is `l1` with running statistics minus `l1` with those of the batch. The model
    with the lowest value of one score is kept.

    Args:
        batches: the batches of the data set; each evaluation uses all of them.
        path: the file.
        every: int >= 1, steps between two evaluations.
        best: where to keep the best model; None to keep none.
        comparison: distances of features to those of the real pictures; None for none.
        keep: the score that decides, such as "inference/l1" or "frechet_distance".
    """

    def __init__(
        self,
        batches: tf.data.Dataset,
        path: str | os.PathLike[str],
        every: int,
        best: Checkpoints | None = None,
        *,
        comparison: FeatureComparison | None = None,
        keep: str = "inference/l1",
    ):
        super().__init__()
        self.comparison = comparison
        self.keep = f"evaluation/{keep}"
        self.batches = batches
        self.path = Path(path)
        self.every = every
        self.best = best

    def on_train_begin(self, logs=None):
        """Reads earlier results, up to the step from which training continues."""
        self.function = traced_once(self.model.evaluation_losses, self.batches)
        if self.comparison is not None:
            self.comparison.begin(self.model)
        start = self.params["start_step"]
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.records = [json.loads(line) for line in lines if line.endswith("}")]
        self.records = [record for record in self.records if record["step"] <= start]

    def on_train_batch_end(self, batch, logs=None):
        """Evaluates the model if it is time."""
        if batch % self.every and batch != self.params["steps"]:
            return
        sums: dict[str, float] = {}
        count = 0
        for test_batch in self.batches:
            size = test_batch["image"].shape[0]
            for name, value in self.function(test_batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * size
            count += size
        record = {f"evaluation/{name}": value / count for name, value in sums.items()}
        record["evaluation/gap"] = (
            record["evaluation/inference/l1"] - record["evaluation/training/l1"]
        )
        if self.comparison is not None:
            distances = self.comparison.distances()
            record |= {f"evaluation/{name}": value for name, value in distances.items()}
        if logs is not None:
            logs.update({name: tf.constant(value) for name, value in record.items()})
        # Earlier records lack a score that has been asked for since.
        before = [past[self.keep] for past in self.records if self.keep in past]
        self.records.append({"step": batch} | record)
        temporary = self.path.with_name(self.path.name + ".part")
        temporary.write_text("".join(json.dumps(past) + "\n" for past in self.records))
        os.replace(temporary, self.path)
        if self.best is not None and record[self.keep] < min(before, default=float("inf")):
            self.best.save(batch)


def _batch_norms(network: keras.Model) -> list[BatchNorm]:
    return [layer for layer in nested_layers(network) if isinstance(layer, BatchNorm)]
