"""What a command is: a line of help, its flags, and the function that they are passed to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags


class Flags:
    """The flags of one command.

    `string`, `integer`, `float`, `boolean`, `enum` and `list` define a flag; their arguments are
    those of absl's `DEFINE_string` and so on. The value of a flag is an attribute, once parsed.
    """

    def __init__(self) -> None:
        self.absl = flags.FlagValues()
        self._names: list[str] = []

    def string(self, name: str, default: str | None, help: str, **more: Any) -> None:
        """Defines a flag that takes text."""
        self._define(flags.DEFINE_string, name, default, help, **more)

    def integer(self, name: str, default: int | None, help: str, **more: Any) -> None:
        """Defines a flag that takes a whole number."""
        self._define(flags.DEFINE_integer, name, default, help, **more)

    def float(self, name: str, default: float | None, help: str, **more: Any) -> None:
        """Defines a flag that takes a number."""
        self._define(flags.DEFINE_float, name, default, help, **more)

    def boolean(self, name: str, default: bool | None, help: str, **more: Any) -> None:
        """Defines a flag that is on or off: `--name` or `--noname`."""
        self._define(flags.DEFINE_boolean, name, default, help, **more)

    def list(self, name: str, default: Sequence[str] | None, help: str, **more: Any) -> None:
        """Defines a flag that takes texts with commas between them."""
        self._define(flags.DEFINE_list, name, default, help, **more)

    def enum(
        self, name: str, default: str | None, values: Sequence[str], help: str, **more: Any
    ) -> None:
        """Defines a flag that takes one of `values`."""
        self._define(flags.DEFINE_enum, name, default, values, help, **more)

    def _define(self, define: Callable[..., Any], name: str, *given: Any, **more: Any) -> None:
        define(name, *given, flag_values=self.absl, **more)
        self._names.append(name)

    def __getattr__(self, name: str) -> Any:
        """The value of a flag."""
        if name in ("absl", "_names"):
            raise AttributeError(name)
        return getattr(self.absl, name)

    def arguments(self, *, without: Sequence[str] = ()) -> dict[str, Any]:
        """The values by name, as keyword arguments of the function that does the work.

        Args:
            without: names of flags that the function does not take.
        """
        return {name: self.absl[name].value for name in self._names if name not in without}


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of the command line.

    Args:
        help: what it does, in a line of the usage.
        define: defines its flags.
        run: does it; what it returns, if anything, is the exit code.
        experiment: the experiment that it takes by default, for commands that take --config.
    """

    help: str
    define: Callable[[Flags], None]
    run: Callable[[Flags], int | None]
    experiment: str | None = None
