"""Callbacks of the training loop: progress, logs, samples, checkpoints."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from spade_tf.networks.styles import encode_style, style_length, styled
from spade_tf.training.checkpoints import Checkpoints
from spade_tf.training.pictures import colorize, grid, over_checks, to_uint8, write_png


class ProgressBar(keras.callbacks.Callback):
    """A progress bar with losses and images per second. Without a terminal it prints lines.

    Args:
        batch_size: int >= 1, pictures per step.
        every: int >= 1, steps between two updates of the losses.
    """

    def __init__(self, batch_size: int, every: int = 10):
        super().__init__()
        self.batch_size = batch_size
        self.every = every

    def on_train_begin(self, logs=None):
        """Shows the bar."""
        start = self.params["start_step"]
        self.is_terminal = sys.stderr.isatty()
        self.bar = tqdm(
            total=self.params["steps"],
            initial=start,
            unit="step",
            dynamic_ncols=True,
            # The rate is in the speed that follows. What is too long for the line is cut.
            bar_format="{percentage:3.0f}% {bar:10} {n_fmt}/{total_fmt} {remaining} left{postfix}",
            disable=not self.is_terminal,
        )
        self.mark = (start, time.perf_counter())
        self.waited, self.printed = 0.0, False

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar."""
        self.waited += getattr(self.model, "seconds_waited_for_data", 0.0)
        self.bar.update()
        steps = self.params["steps"]
        if batch == self.params["start_step"] + 1 and batch < steps:
            # The first step is traced, too, and says nothing of the speed.
            self._losses(logs)
            self.mark, self.waited = (batch, time.perf_counter()), 0.0
            return
        # Without a terminal: soon a first line, which shows that the training moves, then few.
        every = 10 * self.every if self.printed and not self.is_terminal else self.every
        if batch % every and batch != steps:
            return
        losses = self._losses(logs)
        step, start = self.mark
        self.mark = (batch, time.perf_counter())
        seconds = max(self.mark[1] - start, 1e-9)
        per_step = seconds / (batch - step)
        speed = (
            f"{self.batch_size / per_step:.1f} images/s, {1000 * per_step:.0f} ms/step, "
            f"{100 * min(self.waited / seconds, 1.0):.0f}% waiting for data"
        )
        self.waited = 0.0
        if self.is_terminal:
            self.bar.set_postfix_str(f"{speed}  {losses}")
            return
        self.printed = True
        left = tqdm.format_interval((steps - batch) * per_step)
        print(f"step {batch}/{steps}  {losses}  {speed}, {left} left", file=sys.stderr, flush=True)

    def _losses(self, logs):
        """The losses as text. Reading them waits for the device, so the clock shows their step."""
        return " ".join(f"{_short(name)} {float(loss):.3f}" for name, loss in logs.items())

    def on_train_end(self, logs=None):
        """Leaves the bar on the screen."""
        self.bar.close()


class JsonLines(keras.callbacks.Callback):
    """Losses as one JSON object per line: `{"step": ..., "seconds": ..., name: value, ...}`.

    Args:
        path: the file; lines are appended. A resumed run first drops the lines of later steps, so
            that no step is listed twice.
        every: int >= 1, steps between two lines.
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 10):
        super().__init__()
        self.path = Path(path)
        self.every = every

    def on_train_begin(self, logs=None):
        """Drops the lines of steps that will be repeated."""
        start = self.params["start_step"]
        kept = []
        if self.path.exists():
            for line in self.path.read_text().splitlines(keepends=True):
                try:
                    if json.loads(line)["step"] <= start:
                        kept.append(line)
                except (ValueError, KeyError):
                    continue  # a line that a killed run left half-written
            temporary = self.path.with_name(self.path.name + ".part")
            temporary.write_text("".join(kept))
            os.replace(temporary, self.path)
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Writes a line."""
        if batch % self.every and batch != self.params["steps"]:
            return
        record: dict[str, Any] = {
            "step": batch,
            "seconds": round(time.perf_counter() - self.start, 3),
        }
        record.update((name, float(loss)) for name, loss in logs.items())
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")


class SampleGrid(keras.callbacks.Callback):
    """Grids of label map | generated | real, as PNG files `step-NNNNNN.png`.

    A batch with canvases has them after the label maps, over grey checks where nothing covers them.
    The description of each file names the columns. Pictures are made in inference mode. With an
    encoder they have the style of the real ones, otherwise always the same noise. The mean absolute
    difference of generated and real, in units of [-1, 1], is added to the logs of that step as
    `samples/l1`.

    Args:
        directory: folder of the files.
        batch: a training batch with the pictures to show.
        palette: an RGB colour in 0..255 per label id.
        every: int >= 1, steps between two grids.

    Attributes:
        columns: names of the pictures of a sample, in their order, such as "label | generated |
            real".
        picture: the newest grid, uint8 `[H, W, 3]`; None before the first.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        batch: Mapping[str, tf.Tensor],
        palette: Sequence[Sequence[int]],
        every: int = 500,
    ):
        super().__init__()
        self.directory = Path(directory)
        self.batch = dict(batch)
        self.palette = palette
        self.every = every
        conditions = ("label", "canvas") if "canvas" in self.batch else ("label",)
        self.columns = " | ".join((*conditions, "generated", "real"))
        self.picture: np.ndarray | None = None

    def on_train_batch_end(self, batch, logs=None):
        """Draws a grid."""
        if batch % self.every and batch != self.params["steps"]:
            return
        fake = self.generated()
        real = self.batch["image"].numpy()
        if logs is not None:
            logs["samples/l1"] = tf.constant(np.abs(fake - real).mean())
        pictures = (*self._conditions(), to_uint8(fake), to_uint8(real))
        rows: list[tuple] = list(zip(*pictures, strict=True))
        # Two samples per row, so that the grid is about as wide as high.
        if len(rows) % 2 == 0 and len(rows) > 2:
            rows = [first + second for first, second in zip(rows[::2], rows[1::2], strict=True)]
        self.picture = grid(rows)
        write_png(self.directory / f"step-{batch:06d}.png", self.picture, self.columns)

    def _conditions(self) -> list[np.ndarray]:
        """What networks see of each sample, as pictures: its map, and its canvas if it has one."""
        canvas = [over_checks(self.batch["canvas"].numpy())] if "canvas" in self.batch else []
        return [self._maps(), *canvas]

    def _maps(self) -> np.ndarray:
        if "label" in self.batch:
            return colorize(self.batch["label"].numpy(), self.palette)
        channels = self.batch["condition"].shape[-1]
        # A screen can show three channels of a continuous map, in 0..1.
        shown = [channel % channels for channel in range(3)]
        return to_uint8(2.0 * self.batch["condition"].numpy()[..., shown] - 1.0)

    def generated(self) -> np.ndarray:
        """The pictures that the model now makes of the batch, float `[B, H, W, 3]`."""
        if not hasattr(self, "function"):
            self.function = tf.function(self._generate, autograph=False)
        return self.function(self.batch).numpy()

    def _generate(self, batch):
        style = None
        generator = self.model.average_generator or self.model.generator
        semantics, length = self.model.semantics(batch), style_length(generator)
        if self.model.encoder is not None:
            style = encode_style(self.model.encoder, batch["image"], semantics)[0]
        elif length:
            style = tf.random.stateless_normal([batch["image"].shape[0], length], [0, 0])
        return generator(**styled(generator, semantics, style), training=False)


class SaveCheckpoints(keras.callbacks.Callback):
    """Saves a checkpoint at regular steps, and when training ends or is interrupted.

    Put `StopOnNonFinite` before it, so that a stopped step is not saved.

    Args:
        checkpoints: where to save.
        every: int >= 1, steps between two checkpoints.
    """

    def __init__(self, checkpoints: Checkpoints, every: int = 500):
        super().__init__()
        self.checkpoints = checkpoints
        self.every = every

    def on_train_begin(self, logs=None):
        """Remembers which step is already saved."""
        self.saved = self.step = self.params["start_step"]

    def on_train_batch_end(self, batch, logs=None):
        """Saves a checkpoint if it is time."""
        self.step = batch
        if batch % self.every == 0:
            self._save()

    def on_train_end(self, logs=None):
        """Saves the last step."""
        if self.saved != self.step:
            self._save()
        self.checkpoints.wait()

    def _save(self):
        self.checkpoints.save(self.step)
        self.saved = self.step


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises the guard's `NonFiniteError` soon after a step with NaN or infinity.

    Put it first, so that no other callback uses a stopped step. Use it on every worker, so that
    all check the same steps.

    Args:
        intervals: ints >= 1; it checks at the multiples of each.
    """

    def __init__(self, intervals: Sequence[int] = (10,)):
        super().__init__()
        self.intervals = tuple(intervals)

    def on_train_batch_end(self, batch, logs=None):
        """Checks the guard if it is time."""
        if any(batch % interval == 0 for interval in self.intervals):
            check_finite(self.model)

    def on_train_end(self, logs=None):
        """Checks the guard once more."""
        check_finite(self.model)


def check_finite(model: keras.Model) -> None:
    """Raises a `NonFiniteError` if the model's guard has stopped a step."""
    guard = getattr(model, "guard", None)
    failure = None if guard is None else guard.failure()
    if failure is not None:
        raise failure


def _short(name: str) -> str:
    network, _, loss = name.partition("/")
    return f"{network[0].upper()}.{loss}" if loss else name
