"""Dispatch: parses the flags of a command, runs it, and reports what the user can put right."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile

from absl import flags as absl_flags
from absl import logging

from experiments.command_line.command import Command, Flags
from experiments.command_line.errors import is_for_the_user
from experiments.command_line.experiment import define_config, define_help
from experiments.setup.config import ConfigError
from experiments.setup.program import program

COMMANDS = ("prepare", "doctor", "train", "generate", "export", "serve", "convert", "benchmark")


def find_command(name: str) -> Command:
    """The command of that name, one of `COMMANDS`."""
    return importlib.import_module(f"experiments.command_line.{name}").COMMAND


def usage() -> str:
    """What `--help` prints without a command."""
    commands = "\n".join(f"  {name:<9} {find_command(name).help}" for name in COMMANDS)
    return (
        f"usage: {program()} COMMAND [--flags]\n\n{commands}\n\n"
        f"{program()} COMMAND --help lists the flags of a command; {program()} train alone trains\n"
        "the built-in landscapes."
    )


def main(arguments: list[str]) -> int:
    """Runs a command.

    Args:
        arguments: the command and its flags.

    Returns:
        The exit code: 0, or 2 for anything that the user can put right, after one line on stderr.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        return _fail(f"{name!r} is no command; give one of {', '.join(COMMANDS)}")
    command = find_command(name)
    if any(argument in ("-h", "--help") for argument in rest):
        print(f"{program()} {name} [--flags]{_define(command, None)[0].absl.get_help()}")
        return 0
    try:
        flags, rest = _define(command, rest)
        left = flags.absl([f"{program()} {name}", *rest])
        if len(left) > 1:
            raise ConfigError(f"{left[1]!r} is not a flag; flags are --name=value")
        flags.check()
        _quieten(flags.verbosity)
        return command.run(flags) or 0
    except KeyboardInterrupt:
        return _fail("interrupted")
    except BrokenPipeError:
        raise
    except Exception as error:
        if _wants_traceback(rest) or not (
            isinstance(error, absl_flags.Error) or is_for_the_user(error)
        ):
            raise
        # A message without a word in it would leave the user in the dark.
        text = str(error)
        return _fail(text if " " in text else f"{type(error).__name__}: {text}")


def _define(command: Command, arguments: list[str] | None) -> tuple[Flags, list[str]]:
    """The flags of a command, and the arguments that are left to parse; None for help."""
    flags, left = Flags(), arguments or []
    command.define(flags)
    define_verbosity(flags)
    if command.experiment is not None:
        if arguments is None:
            define_help(flags, command.experiment)
        else:
            left = define_config(flags, command.experiment, arguments)
    return flags, left


def _wants_traceback(arguments: list[str]) -> bool:
    """Whether --verbosity is 1 or more: read here, since errors of flags have tracebacks, too."""
    flags = Flags()
    define_verbosity(flags)
    given = [item for item in arguments if item.lstrip("-").startswith("verbosity=")]
    try:
        flags.absl(["", *given])
    except absl_flags.Error:
        return False
    return flags.verbosity > 0


def define_verbosity(flags: Flags) -> None:
    """Defines the flag that all commands have."""
    absl_flags.DEFINE_integer(
        "verbosity",
        -1,
        "0: TensorFlow's messages; 1: tracebacks, too.",
        flag_values=flags.absl,
    )


def _quieten(verbosity: int) -> None:
    """Silences TensorFlow's start-up, unless --verbosity=0 (messages) or 1 (and tracebacks)."""
    logging.set_verbosity(verbosity)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbosity >= 0 else "3")
    if verbosity >= 0 or "tensorflow" in sys.modules:
        return
    # Some of it is written, whatever that level, before there is a logger to ask: hence the detour.
    with tempfile.TemporaryFile() as chatter:
        stderr = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def cli() -> None:
    """The `spade-tf` command."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has gone, such as `head`; nor can what is left be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)
