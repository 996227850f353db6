"""One training of a sweep: where it is, how it is trained and scored, and what came out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.setup.config import Config, ConfigError
from experiments.setup.effects import lacks_for_effect
from experiments.setup.output import write_text

RESULT = "result.json"


@dataclass(frozen=True)
class Run:
    """A variant of an experiment with one seed.

    Args:
        experiment: what `--config` names, such as "ablations".
        variant: name of the variant.
        title: what it is.
        config: its settings, with the seed.
        changed: keys of the settings that are not the experiment's own.
        folder: its workdir.
    """

    experiment: str
    variant: str
    title: str
    config: Config
    changed: Sequence[str]
    folder: Path

    @property
    def name(self) -> str:
        """The variant and the seed."""
        return f"{self.variant}, seed {self.config.train.seed}"

    def training(self, data_dir: str) -> list[str]:
        """The command line that trains it."""
        keys = [key for key in self.changed if not lacks_for_effect(self.config, key)]
        return [
            *("train", f"--config={self.experiment}:{self.variant}"),
            *(f"--config.{key}={_value(self.config, key)}" for key in (*keys, "train.seed")),
            *(f"--data_dir={data_dir}", f"--workdir={self.folder}"),
        ]

    def evaluation(self, data_dir: str, settings: Mapping[str, Any]) -> list[str]:
        """The command line that scores it."""
        given = [f"--{key}={value}" for key, value in settings.items() if value is not None]
        return [
            *("evaluate", f"--model={self.folder}", f"--output_dir={self.folder / 'evaluation'}"),
            *(f"--data_dir={data_dir}", *given),
        ]

    def step(self) -> int:
        """The last step whose losses were written."""
        path = self.folder / "losses.jsonl"
        if not path.exists():
            return 0
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - 4096, 0))
            found = re.findall(rb'"step": (\d+)', file.read())
        return int(found[-1]) if found else 0

    def saved_step(self) -> int:
        """The step of the newest checkpoint."""
        found = self.folder.glob("checkpoints/step-*.index")
        return max((int(path.stem.removeprefix("step-")) for path in found), default=0)

    def is_done(self, settings: Mapping[str, Any]) -> bool:
        """Whether it was trained with these settings and scored with those of the evaluation."""
        result = read_result(self.folder)
        if result is None or result["evaluation"] != dict(settings):
            return False
        try:
            # With the defaults of settings that are newer than the result.
            return Config.from_dict(result["config"]) == self.config
        except ConfigError:
            return False

    def finish(self, settings: Mapping[str, Any], parameters: Mapping[str, int]) -> dict[str, Any]:
        """Writes what came out; returns it."""
        scored = json.loads((self.folder / "evaluation" / "evaluation.json").read_text())
        result = {
            "variant": self.variant,
            "title": self.title,
            "seed": self.config.train.seed,
            "parameters": dict(parameters),
            "scores": scored["scores"],
            "protocol": {k: v for k, v in scored["protocol"].items() if k != "model"},
            "evaluation": dict(settings),
            "config": self.config.to_dict(),
        }
        write_text(self.folder / RESULT, json.dumps(result, indent=1) + "\n")
        return result


def read_result(folder: Path) -> dict[str, Any] | None:
    """What came out of a run; None if it is not done.

    Raises:
        ConfigError: if the file cannot be read.
    """
    path = folder / RESULT
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); remove it") from error


def count_parameters(workdir: Path) -> dict[str, int]:
    """Numbers of weights of a training's generator and discriminator."""
    from experiments.setup.networks import make_discriminator, make_generator
    from experiments.setup.workdir import read_workdir
    from pipelines.schema import LabelSet

    content = read_workdir(workdir)
    config = Config.from_dict(content["config"])
    labels = LabelSet.from_metadata(content["labels"])
    networks = {
        "generator": make_generator(config, labels),
        "discriminator": make_discriminator(config, labels),
    }
    # Statistics and spectral vectors are no parameters.
    return {
        name: sum(math.prod(weight.shape) for weight in network.trainable_weights)
        for name, network in networks.items()
    }


def _value(config: Config, key: str) -> Any:
    section, _, name = key.rpartition(".")
    return getattr(getattr(config, section) if section else config, name)
