"""The `--config` flag: an experiment, by name or as a file, and overrides of its keys."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from experiments.command_line.command import Flags
from experiments.setup.config import ConfigError

if TYPE_CHECKING:
    from experiments.setup.config import Config

EXPERIMENTS = Path(__file__).resolve().parents[1]
_HELP = (
    "The experiment to start from: a name, or a file that defines get_config(). A variant of it "
    "follows a colon. Any key of it is a flag, such as --config.train.steps=1000."
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

    from experiments.command_line.keys import check_keys, given_keys

    config, rest = load_config(default, arguments)
    check_keys(config, rest, command)
    flags.experiment = _take_config(arguments)[0] or default
    flags.given_keys = [key for key, _, _ in given_keys(rest)]
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


def load_variants(chosen: str) -> dict[str, tuple[str, Config]]:
    """The variants of an experiment.

    Args:
        chosen: its name or file. Its module has `VARIANTS`, a mapping from their names to what
            they are, and its `get_config` takes a name of these.

    Returns:
        What each variant is, and its configuration, by name.

    Raises:
        ConfigError: if there is no such experiment, it has no variants, or its file fails.
    """
    path, colon, variant = chosen.partition(":")
    if colon and not Path(chosen).is_file():
        raise ConfigError(
            f"--config={chosen}: a table has all variants; give --config={path}, and for one of "
            f"them --rows={variant}"
        )
    variants = getattr(_module(chosen, chosen), "VARIANTS", None)
    if not variants:
        raise ConfigError(
            f"--config={chosen}: it has no VARIANTS; give an experiment that has, such as ablations"
        )
    return {name: (title, _load(f"{chosen}:{name}")) for name, title in variants.items()}


def _load(chosen: str) -> Config:
    from experiments.setup.config import Config

    # The function takes what follows a colon.
    path, *given = chosen.split(":", 1)
    module = _module(path, chosen)
    variants = getattr(module, "VARIANTS", {} if _is_built_in(path) else given)
    if given and given[0] not in variants:
        known = f"give one of {', '.join(variants)}" if variants else f"give {path}"
        raise ConfigError(f"--config={chosen}: no such variant; {known}")
    if not hasattr(module, "get_config"):
        raise ConfigError(
            f"--config={chosen}: it defines no get_config(); experiments/paired_folder.py is an "
            "example"
        )
    with _explained(path, chosen):
        config = module.get_config(*given)
    if not isinstance(config, Config):
        raise ConfigError(
            f"--config={chosen}: get_config() returned {type(config).__name__}; "
            "return a Config of experiments.setup.config"
        )
    return config


def _is_built_in(path: str) -> bool:
    return path in names() and not Path(path).is_file()


def _module(path: str, chosen: str) -> ModuleType:
    """The module of an experiment, by its name or file."""
    if _is_built_in(path):
        return importlib.import_module(f"experiments.{path}")
    if not Path(path).is_file():
        raise ConfigError(
            f"--config={chosen}: no such file; give one, or a name: {', '.join(names())}"
        )
    with _explained(path, chosen):
        loader = importlib.machinery.SourceFileLoader("config_file", path)
        spec = importlib.util.spec_from_loader("config_file", loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return module


@contextlib.contextmanager
def _explained(path: str, chosen: str) -> Iterator[None]:
    """Says of what a file of the user's raises, in which line it is: it is theirs to put right."""
    if _is_built_in(path):
        yield
        return
    try:
        yield
    except Exception as error:
        raise ConfigError(f"--config={chosen}: {_where(error, path)}") from error


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
