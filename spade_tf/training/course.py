"""The batch sizes and learning rates of a training so far, which give its place in the data."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from spade_tf.training.checkpoints import CheckpointError


class Stretch(NamedTuple):
    """Consecutive steps with one batch size and one rate factor.

    Attributes:
        step: int >= 0, training steps done before it.
        example: int >= 0, examples seen before it.
        batch_size: int >= 1, examples per step.
        rate_factor: float > 0, factor on the configuration's learning rates.
    """

    step: int
    example: int
    batch_size: int
    rate_factor: float


class Course:
    """The stretches of a training, oldest first, kept in `course.json` beside its checkpoints.

    Args:
        directory: folder of the checkpoints.
        batch_size: int >= 1, used for all steps if there is no such file yet.

    Raises:
        CheckpointError: if the file cannot be read.
    """

    def __init__(self, directory: str | os.PathLike[str], batch_size: int):
        self.path = Path(directory) / "course.json"
        self.stretches = [Stretch(0, 0, batch_size, 1.0)]
        try:
            if self.path.exists():
                self.stretches = [Stretch(**item) for item in json.loads(self.path.read_text())]
                self.at(0)
        except (OSError, ValueError, TypeError, IndexError) as error:
            raise CheckpointError(
                f"{self.path}: cannot be read ({error}); remove it to continue at the full "
                "learning rates, as if all steps had used one batch size"
            ) from error

    def at(self, step: int) -> Stretch:
        """The stretch that starts at a step; `example` counts the examples before the step."""
        before = [stretch for stretch in self.stretches if stretch.step <= step][-1]
        seen = (step - before.step) * before.batch_size
        return before._replace(step=step, example=before.example + seen)

    def go_on(self, step: int, batch_size: int, rate_factor: float) -> None:
        """Records how steps are done from `step` on. Later entries are dropped.

        Raises:
            CheckpointError: if the file cannot be written.
        """
        new = self.at(step)._replace(batch_size=batch_size, rate_factor=rate_factor)
        self.stretches = [stretch for stretch in self.stretches if stretch.step < step]
        if not self.stretches or self.stretches[-1][2:] != new[2:]:
            self.stretches.append(new)
        text = json.dumps([stretch._asdict() for stretch in self.stretches], indent=1)
        temporary = self.path.with_name(self.path.name + ".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text + "\n")
            os.replace(temporary, self.path)
        except OSError as error:
            raise CheckpointError(
                f"{self.path}: cannot be written ({error.strerror}); free some space or choose "
                "another --workdir"
            ) from error
