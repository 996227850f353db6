"""What a training's place in its data and its learning rates follow from, besides its weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from spade_tf.training.checkpoints import CheckpointError


class Stretch(NamedTuple):
    """Steps that were done in one way.

    Attributes:
        step: int >= 0, training steps done before it.
        example: int >= 0, examples seen before it.
        batch_size: int >= 1, examples per step.
        rate_factor: float > 0, what the learning rates of the configuration are multiplied by.
    """

    step: int
    example: int
    batch_size: int
    rate_factor: float


class Course:
    """The stretches of a training, oldest first, kept in `course.json` beside its checkpoints.

    Args:
        directory: of the checkpoints.
        batch_size: int >= 1, of all steps of a training that has no such file yet.

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
                f"{self.path}: cannot be read ({error}); remove it to go on at the full learning "
                "rates, as if all steps had been done with one batch size"
            ) from error

    def at(self, step: int) -> Stretch:
        """Where a step is: `example` is the number of examples seen before it."""
        before = [stretch for stretch in self.stretches if stretch.step <= step][-1]
        seen = (step - before.step) * before.batch_size
        return before._replace(step=step, example=before.example + seen)

    def go_on(self, step: int, batch_size: int, rate_factor: float) -> None:
        """Notes how steps are done from one on, in place of what was done after it before.

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
