"""Checkpoints: everything that a training needs to continue."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from spade_tf.training.gaugan import GauGAN
from spade_tf.training.optimizers import OPTIMIZERS


class CheckpointError(ValueError):
    """A checkpoint that cannot be written or read; the message is one line."""


class Checkpoints:
    """The newest checkpoints of a model and of its optimizers, in one directory.

    A checkpoint is complete or absent, because it is written under another name and then renamed.
    Weights are stored under their own names, network by network.

    Args:
        model: a compiled `GauGAN`.
        directory: folder of the checkpoints.
        max_to_keep: int >= 1, how many of the newest to keep. Default 3.
        asynchronous: bool, whether to write in the background. Variables are first copied to the
            host's memory, then training continues. Default False.

    Example:
        >>> import tempfile
        >>> from spade_tf import GauGAN, MultiscaleDiscriminator, SPADEGenerator
        >>> model = GauGAN(
        ...     SPADEGenerator(3, image_size=(32, 32), filters=1),
        ...     MultiscaleDiscriminator(3, filters=1, num_layers=2),
        ... )
        >>> model.compile()
        >>> from spade_tf.training import Checkpoints
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     checkpoints = Checkpoints(model, folder)
        ...     checkpoints.save(step=5)
        ...     checkpoints.restore_latest()
        5
    """

    def __init__(
        self,
        model: GauGAN,
        directory: str | os.PathLike[str],
        max_to_keep: int = 3,
        asynchronous: bool = False,
    ):
        self.model = model
        self.directory = Path(directory)
        self._variables = _variables(model)
        self._checkpoint = tf.train.Checkpoint(**self._variables)
        self._copies: dict[str, dict[str, tf.Variable]] | None = None
        written = self._checkpoint
        if asynchronous:
            self._copies = {
                group: {name: _host_copy(variable) for name, variable in variables.items()}
                for group, variables in self._variables.items()
            }
            written = tf.train.Checkpoint(**self._copies)
        self._manager = tf.train.CheckpointManager(
            written, str(self.directory), max_to_keep=max_to_keep, checkpoint_name="step"
        )
        self._writer = ThreadPoolExecutor(1, "checkpoints") if asynchronous else None
        self._writing: Future[str] | None = None

    def save(self, step: int) -> None:
        """Writes a checkpoint, or starts to. If this fails, the one before remains usable.

        Args:
            step: int >= 0, training steps done.

        Raises:
            CheckpointError: if this checkpoint, or the one still being written, cannot be written.
        """
        if self._writer is None:
            self._write(step)
            return
        self.wait()
        assert self._copies is not None
        for group, variables in self._variables.items():
            for name, variable in variables.items():
                self._copies[group][name].assign(variable)
        self._writing = self._writer.submit(self._write, step)

    def wait(self) -> None:
        """Waits until the current checkpoint is written.

        Raises:
            CheckpointError: if it could not be written.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """Waits for the current write, even if it fails, and allows no more."""
        if self._writer is not None:
            self._writer.shutdown(wait=True)

    def _write(self, step: int) -> str:
        try:
            return self._manager.save(checkpoint_number=step)
        except (OSError, tf.errors.OpError) as error:
            self._remove_partial(step)
            kept = self._manager.latest_checkpoint
            raise CheckpointError(
                f"{self.directory}: the checkpoint of step {step} could not be written "
                f"({_reason(error)}); "
                + (f"{kept} is still good; " if kept else "")
                + "free some space or choose another --workdir, then run the same command again"
            ) from error

    def restore_latest(self) -> int | None:
        """Loads the newest checkpoint that can be read.

        Returns:
            Its training steps, or None if there is no checkpoint.

        Raises:
            CheckpointError: if none can be read, or it belongs to another model.
        """
        failed = None
        for path in reversed(self._manager.checkpoints):
            try:
                self._restore(path)
                return int(path.rsplit("-", 1)[1])
            except (ValueError, tf.errors.OpError) as error:
                if isinstance(error, CheckpointError):
                    raise
                logging.warning(
                    "%s cannot be read (%s); trying the one before", path, _reason(error)
                )
                failed = path
        if failed is not None:
            raise CheckpointError(
                f"{failed} and all newer checkpoints cannot be read; choose another --workdir to "
                "start from step 0"
            )
        return None

    def restore(self, step: int, seconds: float = 60.0) -> None:
        """Loads the checkpoint of one step. Another process may have just written it.

        Args:
            step: int >= 0, training steps done.
            seconds: float >= 0, how long to wait until a shared file system shows it.

        Raises:
            CheckpointError: if it is absent, cannot be read, or belongs to another model.
        """
        path = self.directory / f"step-{step}"
        deadline = time.monotonic() + seconds
        while not path.with_name(path.name + ".index").exists() and time.monotonic() < deadline:
            time.sleep(0.5)
        try:
            self._restore(str(path))
        except (ValueError, tf.errors.OpError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                f"{path}: the chief continues from this checkpoint, but this worker cannot read it "
                f"({_reason(error)}); mount the same --workdir on all workers"
            ) from error

    def _restore(self, path: str) -> None:
        try:
            self._checkpoint.restore(path).assert_existing_objects_matched()
        except AssertionError as error:
            raise CheckpointError(
                f"{path} belongs to another model ({_reason(error)}); choose another --workdir, or "
                "the configuration that made it"
            ) from error

    def remove_orphans(self) -> None:
        """Removes files that a killed process left half-written. Only for the sole writer."""
        kept = {Path(path).name for path in self._manager.checkpoints}
        partial = [*self.directory.glob("checkpoint.*"), *self.directory.glob("*.part")]
        for path in [*self.directory.glob("step-*"), *partial]:
            if path.name.split(".")[0] not in kept:
                _remove(path)

    def steps(self) -> list[int]:
        """Steps of the existing checkpoints, oldest first."""
        return [int(path.rsplit("-", 1)[1]) for path in self._manager.checkpoints]

    def _remove_partial(self, step: int) -> None:
        for path in [*self.directory.glob(f"step-{step}.*"), self.directory / f"step-{step}_temp"]:
            _remove(path)


def latest_step(directory: str | os.PathLike[str]) -> int:
    """Training steps of the newest checkpoint in a directory; 0 if there is none."""
    path = tf.train.latest_checkpoint(str(directory))
    return int(path.rsplit("-", 1)[1]) if path else 0


def restore_networks(directory: str | os.PathLike[str], **networks: keras.Model | None) -> int:
    """Loads the weights of networks, without optimizers, from the newest checkpoint.

    Args:
        directory: folder of the checkpoints; or one checkpoint, such as `checkpoints/step-500`.
        **networks: by saved name: generator, encoder, discriminator.

    Returns:
        The training steps of the checkpoint.

    Raises:
        CheckpointError: if there is none, or it does not hold these networks.

    Example:
        >>> from spade_tf import SPADEGenerator
        >>> from spade_tf.training import restore_networks
        >>> generator = SPADEGenerator(3, image_size=(32, 32), filters=1)
        >>> restore_networks("runs/mine/checkpoints", generator=generator)  # doctest: +SKIP
        1500
    """
    one = Path(f"{directory}.index").is_file()
    path = str(directory) if one else tf.train.latest_checkpoint(str(directory))
    if path is None:
        raise CheckpointError(f"{directory}: no checkpoint in it; train a model there first")
    weights = {name: by_path(net.variables) for name, net in networks.items() if net is not None}
    try:
        status = tf.train.Checkpoint(**weights).restore(path)
        status.expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        raise CheckpointError(f"{path} does not hold this model ({_reason(error)})") from error
    return int(path.rsplit("-", 1)[1])


def _variables(model: GauGAN) -> dict[str, Any]:
    groups: dict[str, Any] = {
        name: by_path(variables) for name, variables in model.checkpoint_groups().items()
    }
    for name in OPTIMIZERS:
        optimizer = getattr(model, name)
        groups[name] = _state(optimizer)
        # The optimizer with a loss scale wraps the optimizer that updates the weights.
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            inner = name.replace("_optimizer", "_inner_optimizer")
            groups[inner] = _state(optimizer.inner_optimizer)
    return groups


def _host_copy(variable: tf.Variable) -> tf.Variable:
    with tf.device("CPU:0"):
        return tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False)


def by_path(variables: list[keras.Variable]) -> dict[str, tf.Variable]:
    """The variables of a network by their paths in it, as checkpoints name them."""
    # All paths begin with the network's own name. Keras may add a number to it: leave it out.
    first = {variable.path.split("/", 1)[0] for variable in variables}
    shared = len(first) == 1 and all("/" in variable.path for variable in variables)
    named = {
        variable.path.split("/", 1)[1] if shared else variable.path: variable.value
        for variable in variables
    }
    if len(named) != len(variables):
        raise ValueError("two variables of one network have the same path")
    return named


def _state(optimizer: keras.optimizers.Optimizer) -> dict[str, tf.Variable]:
    # Slots follow the order of the weights; Keras may number the names in their paths. The rate
    # comes from the configuration (and from halvings after NaN), never from a checkpoint.
    return {
        f"{index:04d}": variable.value
        for index, variable in enumerate(optimizer.variables)
        if variable.path.rsplit("/", 1)[-1] != "learning_rate"
    }


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error)
    return " ".join(text.split())[:200]
