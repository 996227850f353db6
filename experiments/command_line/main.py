"""Dispatch: parses the flags of a command, runs it, and reports what the user can put right."""

from __future__ import annotations

import importlib
import os
import re
import sys

from absl import flags as absl_flags

from experiments.command_line.command import Command, Flags
from experiments.command_line.errors import is_for_the_user
from experiments.command_line.experiment import define_config, define_help, load_config
from experiments.command_line.keys import check_used, describe_keys
from experiments.command_line.quiet import quieten
from experiments.setup.config import ConfigError
from experiments.setup.program import program
from pipelines.schema import ArgumentError

COMMANDS = (
    *("prepare", "doctor", "compose", "train", "generate", "segment", "evaluate", "sweep"),
    *("export", "serve", "convert", "study", "benchmark"),
)


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
    try:
        if any(argument in ("-h", "--help") for argument in rest):
            print(_help(name, command, rest))
            return 0
        flags, left = _define(name, command, rest)
        left = flags.absl([f"{program()} {name}", *left])
        if len(left) > 1:
            raise ConfigError(f"{left[1]!r} is not a flag; flags are --name=value")
        flags.check()
        if command.experiment is not None:
            check_used(flags.config, rest, name, command.keys)
        quieten(flags.verbosity)
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
        text = _plain(error) if isinstance(error, absl_flags.Error) else _with_flag(error, command)
        # A message without a word in it would leave the user in the dark.
        return _fail(text if " " in text else f"{type(error).__name__}: {text}")


def _define(name: str, command: Command, arguments: list[str]) -> tuple[Flags, list[str]]:
    """The flags of a command, and the arguments that are left to parse."""
    flags, left = Flags(), arguments
    command.define(flags)
    define_verbosity(flags)
    if command.experiment is not None:
        left = define_config(flags, command.experiment, arguments, name)
    return flags, left


def _help(name: str, command: Command, arguments: list[str]) -> str:
    """What `--help` prints of a command: its flags, and the keys of its experiment."""
    flags = Flags()
    if command.experiment is not None:
        define_help(flags, command.experiment)
    command.define(flags)
    define_verbosity(flags)
    text = f"{program()} {name} [--flags]: {command.help}\n\n{flags.describe()}"
    if command.experiment is None:
        return text
    config, _ = load_config(command.experiment, arguments)
    return f"{text}\n\n{describe_keys(config, command.keys)}"


# What absl says of a flag's value, and what it means.
_PLAIN = (
    (r"invalid literal for int\(\).*", "give a whole number"),
    (r"could not convert string to float.*", "give a number"),
    (r".*Non-boolean argument to boolean flag.*", "give True or False"),
    (r"value should be one of <(.*)>", r"give one of \1"),
    (r".* is not an integer in the range \[(.*), 9223372036854775807\]", r"give \1 or more"),
    (r".* is not an integer in the range (.*)", r"give a whole number in the range \1"),
    (r".* is not (an integer|a number) (in the range|<=|>=) (.*)", r"give \1 \2 \3"),
)


def _plain(error: Exception) -> str:
    """An error of absl in plain words: the flag and its value, and what to give."""
    text = " ".join(str(error).split())
    match = re.fullmatch(r"flag (--[\w.]+=.*?): (.*)", text)
    if match is None:
        return text
    flag, said = match.groups()
    for pattern, plain in _PLAIN:
        if re.fullmatch(pattern, said):
            said = re.sub(pattern, plain, said)
            break
    return f"{flag}: {said}"


def _with_flag(error: Exception, command: Command) -> str:
    """An error as text. The library names an argument, and the text the flag of that name."""
    flags = Flags()
    command.define(flags)
    is_flag = isinstance(error, ArgumentError) and error.argument in flags.absl
    return f"--{error}" if is_flag else str(error)


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
    flags.integer(
        "verbosity",
        -1,
        "How much is shown: -1, the default; 0 adds TensorFlow's messages; 1 adds tracebacks.",
    )


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
