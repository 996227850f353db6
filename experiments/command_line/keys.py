"""The keys of an experiment on the command line: which there are, and which would do nothing."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from experiments.setup.config import Config, ConfigError
from experiments.setup.effects import lacks_for_effect
from experiments.setup.program import program

_OVERRIDE = re.compile(r"--?(?:no)?config\.([^=]+)(?:=(.*))?", re.DOTALL)


def list_keys(config: Any, prefix: str = "") -> dict[str, Any]:
    """All keys of a configuration, as in "train.steps", and their values.

    Args:
        config: the configuration, or a section of it.
        prefix: what its keys begin with.
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        name = prefix + field.name
        found |= list_keys(value, f"{name}.") if dataclasses.is_dataclass(value) else {name: value}
    return found


def describe_keys(config: Config, only: Sequence[str] | None = None) -> str:
    """The lines of a listing of all keys with their values.

    Args:
        config: an experiment.
        only: the keys that the command uses; None for all.
    """
    lines = [
        f"  --config.{key}={value}"
        for key, value in list_keys(config).items()
        if only is None or key in only
    ]
    title = f"Keys of the experiment {config.name} (experiments/setup/config.py explains them):"
    return "\n".join([title, *lines])


def given_keys(arguments: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """The keys that a command line gives: each key, its value, and the argument as it is."""
    for item in arguments:
        if match := _OVERRIDE.fullmatch(item):
            yield match[1], match[2] or "", item


def check_keys(config: Config, arguments: Sequence[str], command: str) -> None:
    """Raises a ConfigError for a key that an experiment does not have.

    Args:
        config: the experiment.
        arguments: of the command line.
        command: whose help lists the keys.
    """
    known = list_keys(config)
    sections = sorted({key.partition(".")[0] for key in known if "." in key})
    for key, _, item in given_keys(arguments):
        if key in known:
            continue
        if key in sections:
            mine = [name for name in known if name.startswith(f"{key}.")]
            raise ConfigError(
                f"{item}: a group of keys; give one of them, such as --config.{mine[0]}="
                f"{known[mine[0]]}"
            )
        likely = difflib.get_close_matches(key, known, n=1)
        # The right key without its section, or with a wrong one.
        last = key.rpartition(".")[2]
        likely = [name for name in known if name.rpartition(".")[2] == last] or likely
        meant = f"did you mean --config.{likely[0]}? " if likely else ""
        raise ConfigError(
            f"{item}: there is no such key; {meant}{program()} {command} --help lists all keys"
        )


def check_used(
    config: Config, arguments: Sequence[str], command: str, used: Sequence[str] | None = None
) -> None:
    """Raises a ConfigError for a key that is given and would have no effect.

    Args:
        config: the experiment, with what the command line gives.
        arguments: of the command line.
        command: its name.
        used: the keys that the command uses; None for all.
    """
    for key, _, item in given_keys(arguments):
        if used is not None and key not in used:
            raise ConfigError(
                f"{item}: no effect on {command}, which uses {', '.join(used)} alone; leave it out"
            )
        if needed := lacks_for_effect(config, key):
            raise ConfigError(f"{item}: no effect without {needed}; leave it out")
