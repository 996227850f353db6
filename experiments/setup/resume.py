"""Continues a training: finds the checkpoint, the next example and the learning rates."""

from __future__ import annotations

import contextlib
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.setup.config import Config, ConfigError
from experiments.setup.workdir import is_begun, read_workdir

if TYPE_CHECKING:
    from spade_tf.training.checkpoints import Checkpoints
    from spade_tf.training.course import Course

_AFTER_THE_REASON = re.compile(
    r"Additional GRPC|The error could be from a previous operation|\[\[|\[Op:|:?\{\"created\"|"
    r"\[type\.googleapis|\(in .*? from local worker"
)


def resume(
    checkpoints: Checkpoints, course: Course, batch_size: int, rate_factor: float, devices: Any
) -> tuple[int, int]:
    """Loads the newest checkpoint that the chief can read, on every worker.

    Args:
        checkpoints: checkpoints of the training.
        course: course of the training. The chief records in it how the training continues.
        batch_size: int >= 1, examples per step from now on.
        rate_factor: float > 0, factor on the learning rates from now on.
        devices: the strategy.

    Returns:
        The steps done and the examples seen before it; zeros if there is no checkpoint.

    Raises:
        CheckpointError: if a checkpoint cannot be read.
    """
    from spade_tf.training.strategy import from_chief, is_chief

    chief = is_chief(devices)
    step = (checkpoints.restore_latest() or 0) if chief else 0
    before = course.at(step)
    step, example = (int(number) for number in from_chief(devices, step, before.example))
    if chief:
        course.go_on(step, batch_size, rate_factor)
    elif step:
        checkpoints.restore(step)
    if step:
        changes = f", at {rate_factor:g} of the learning rates" if rate_factor != 1 else ""
        if before.batch_size != batch_size and chief:
            changes += (
                f", in batches of {batch_size} instead of {before.batch_size}: the data goes on "
                f"after the {example} examples that have been seen"
            )
        print(
            f"resumed from step {step} of {checkpoints.directory}{changes}",
            file=sys.stderr,
            flush=True,
        )
    return step, example


def read_course(config: Config, workdir: Path) -> Course:
    """Reads the course of a workdir's training. Call it before `config.json` is written again."""
    from spade_tf.training.course import Course

    begun = read_workdir(workdir)["config"] if is_begun(workdir) else {}
    batch_size = begun.get("train", {}).get("batch_size", config.train.batch_size)
    return Course(workdir / "checkpoints", batch_size)


def why_lost(message: str) -> str:
    """What TensorFlow found of a worker that was lost, without what it wraps that in.

    Args:
        message: of its error, of many lines.
    """
    text = " ".join(message.split())
    # Errors of errors: the last one is what happened.
    text = text.rpartition("Collective ops is aborted by: ")[2]
    text = re.sub(r"\{\{function_node .*?\}\} ", "", text)
    text = _AFTER_THE_REASON.split(text)[0].strip(" :;,.")
    return textwrap.shorten(text, 200, placeholder=" …") or "TensorFlow says no more"


@contextlib.contextmanager
def explained_losses() -> Iterator[None]:
    """Turns TensorFlow's errors about a lost worker into one line that names the worker."""
    import tensorflow as tf

    from spade_tf.training.strategy import lost_worker

    try:
        yield
    except tf.errors.OpError as error:
        lost = lost_worker(error)
        if lost is None:
            raise
        raise ConfigError(
            f"the worker {lost} was lost ({why_lost(error.message)}); start all workers "
            "again, and they go on from the last checkpoint"
        ) from error
