"""TensorBoard: losses, rates, samples, histograms, profiles."""

from __future__ import annotations

import os

import keras
import tensorflow as tf

from spade_tf.training.callbacks import SampleGrid


class TensorBoard(keras.callbacks.Callback):
    """Writes event files for TensorBoard.

    Keras's callback of that name counts epochs. This one counts steps, and shows samples.

    Args:
        directory: folder of the event files.
        every: int >= 1, steps between two records of losses and rates.
        samples: callback whose newest grid is shown; None for none.
        histograms_every: int >= 0, steps between two histograms of all weights; 0 for none.
        profile_steps: `(first, last)`, the steps to profile; None for none.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        every: int = 10,
        samples: SampleGrid | None = None,
        histograms_every: int = 0,
        profile_steps: tuple[int, int] | None = None,
    ):
        super().__init__()
        self.directory = str(directory)
        self.every = every
        self.samples = samples
        self.histograms_every = histograms_every
        self.profile_steps = profile_steps

    def on_train_begin(self, logs=None):
        """Opens the files."""
        self.writer = tf.summary.create_file_writer(self.directory)
        self.profiling = False
        self.shown = None

    def on_train_batch_begin(self, batch, logs=None):
        """Starts the profiler."""
        if self.profile_steps is not None and batch + 1 == self.profile_steps[0]:
            tf.profiler.experimental.start(self.directory)
            self.profiling = True

    def on_train_batch_end(self, batch, logs=None):
        """Writes what is due at this step."""
        if self.profiling and self.profile_steps and batch >= self.profile_steps[1]:
            self._stop_profiler()
        last = batch == self.params["steps"]
        with self.writer.as_default(step=batch):
            if batch % self.every == 0 or last:
                for name, value in logs.items():
                    tf.summary.scalar(name, value)
                for name in ("generator", "discriminator"):
                    optimizer = getattr(self.model, f"{name}_optimizer")
                    rate = tf.convert_to_tensor(optimizer.learning_rate)
                    tf.summary.scalar(f"{name}/learning_rate", rate)
            samples = self.samples
            if samples and samples.picture is not None and samples.picture is not self.shown:
                tf.summary.image(samples.columns, samples.picture[None])
                self.shown = samples.picture
            if self.histograms_every and (batch % self.histograms_every == 0 or last):
                for network in ("generator", "discriminator", "encoder"):
                    if getattr(self.model, network) is not None:
                        for weight in getattr(self.model, network).trainable_variables:
                            tf.summary.histogram(f"{network}/{weight.path}", weight.numpy())

    def on_train_end(self, logs=None):
        """Closes the files."""
        if self.profiling:
            self._stop_profiler()
        self.writer.close()

    def _stop_profiler(self):
        tf.profiler.experimental.stop()
        self.profiling = False
