"""The `--config` flag: an experiment, by name or as a file, and overrides of its keys."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.command_line.command import Flags

if TYPE_CHECKING:
    from experiments.setup.config import Config

EXPERIMENTS = Path(__file__).resolve().parents[1]
_HELP = (
    "The experiment to start from: a name, or a file that defines get_config(). Any key of it is a "
    "flag, such as --config.train.steps=1000."
)


def names() -> list[str]:
    """The built-in experiments: the modules beside this package that define `get_config`."""
    return sorted(
        path.stem
        for path in EXPERIMENTS.glob("*.py")
        if "\ndef get_config(" in path.read_text(encoding="utf-8")
    )


def define_help(flags: Flags, default: str) -> None:
    """Defines `--config` for a listing of the flags."""
    flags.string("config", default, f"{_HELP} Names: {', '.join(names())}.")


def define_config(flags: Flags, default: str, arguments: Sequence[str], command: str) -> list[str]:
    """Loads the experiment and defines `--config` with the overrides among the arguments.

    Args:
        flags: of the command.
        default: the name of an experiment.
        arguments: of the command line, after the command.
        command: its name.

    Returns:
        The arguments without `--config`.

    Raises:
        ConfigError: if there is no such experiment, its file fails, or has no such key.
    """
    from ml_collections import config_flags

    from experiments.command_line.keys import check_keys

    config, rest = load_config(default, arguments)
    check_keys(config, rest, command)
    config_flags.DEFINE_config_dataclass(
        "config", config, _HELP, flag_values=flags.absl, sys_argv=["", *rest]
    )
    # It is parsed already, and given if it was among the arguments.
    flags.absl["config"].present = len(arguments) - len(rest)
    return rest


def load_config(default: str, arguments: Sequence[str]) -> tuple[Config, list[str]]:
    """The experiment that a command line names, without its overrides.

    Args:
        default: the name of the one that is taken if it names none.
        arguments: of the command line, after the command.

    Returns:
        The experiment, and the arguments without `--config`.

    Raises:
        ConfigError: if there is no such experiment, or its file fails.
    """
    chosen, rest = _take_config(arguments)
    return _load(default if chosen is None else chosen), rest


def _take_config(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    chosen, rest, items = None, [], iter(arguments)
    for item in items:
        name, equals, value = item.partition("=")
        if name in ("--config", "-config"):
            chosen = value if equals else next(items, "")
        else:
            rest.append(item)
    return chosen, rest


def _load(chosen: str) -> Config:
    from experiments.setup.config import Config, ConfigError

    if chosen in names() and not Path(chosen).is_file():
        return importlib.import_module(f"experiments.{chosen}").get_config()
    # A function may take what follows a colon.
    path, *given = chosen.split(":", 1)
    if not Path(path).is_file():
        raise ConfigError(
            f"--config={chosen}: no such file; give one, or a name: {', '.join(names())}"
        )
    try:
        loader = importlib.machinery.SourceFileLoader("config_file", path)
        spec = importlib.util.spec_from_loader("config_file", loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        config = module.get_config(*given)
    except Exception as error:
        # Whatever a file of the user's raises is the user's to put right.
        raise ConfigError(f"--config={chosen}: {_where(error, path)}") from error
    if not isinstance(config, Config):
        raise ConfigError(
            f"--config={chosen}: get_config() returned {type(config).__name__}; "
            "return a Config of experiments.setup.config"
        )
    return config


def _where(error: Exception, path: str) -> str:
    """The line of the file that raised, and what."""
    line = None
    if isinstance(error, SyntaxError) and error.filename == path:
        line, text = error.lineno, error.msg
    else:
        text = str(error)
        at = error.__traceback__
        while at is not None:
            if at.tb_frame.f_code.co_filename == path:
                line = at.tb_lineno
            at = at.tb_next
    place = "" if line is None else f"line {line}: "
    return f"{place}{type(error).__name__}: {text}"
