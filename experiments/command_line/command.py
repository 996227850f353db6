"""What a command is: a line of help, its flags, and the function that they are passed to."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from experiments.setup.config import ConfigError

# Not for the function that does the work.
_OF_ALL_COMMANDS = ("config", "verbosity")


class Flags:
    """The flags of one command.

    `string`, `strings` (to be given several times), `integer`, `float`, `boolean`, `enum` and
    `list` define a flag; their arguments are those of absl's `DEFINE_string` and so on, and three
    more. `only_with` and `not_with` name the
    settings that a flag has an effect with, or none, as "NAME" of a flag that is given or as
    "NAME=VALUE" or "NAME=VALUE or OTHER". They are part of the help, and `check` refuses a flag
    that would do nothing.
    `required` says what to give for a flag that cannot be left out, wherever it has an effect.
    The value of a flag is an attribute, once parsed.

    Attributes:
        experiment: what `--config` names, of commands that take it.
        given_keys: the keys of it that the command line sets, such as "train.steps".
    """

    experiment: str = ""
    given_keys: Sequence[str] = ()

    def __init__(self) -> None:
        self.absl = flags.FlagValues()
        self._names: list[str] = []
        self._only_with: dict[str, str] = {}
        self._not_with: dict[str, str] = {}
        self._required: dict[str, str] = {}

    def string(self, name: str, default: str | None, help: str, **more: Any) -> None:
        """Defines a flag that takes text."""
        self._define(flags.DEFINE_string, name, default, help, **more)

    def strings(self, name: str, default: Sequence[str] | None, help: str, **more: Any) -> None:
        """Defines a flag that takes text, and may be given several times."""
        self._define(flags.DEFINE_multi_string, name, default, help, **more)

    def integer(self, name: str, default: int | None, help: str, **more: Any) -> None:
        """Defines a flag that takes a whole number, of 64 bits unless there are other bounds."""
        more = {"lower_bound": -(2**63), "upper_bound": 2**63 - 1, **more}
        self._define(flags.DEFINE_integer, name, default, help, **more)

    def float(self, name: str, default: float | None, help: str, **more: Any) -> None:
        """Defines a flag that takes a number."""
        self._define(flags.DEFINE_float, name, default, help, **more)

    def boolean(self, name: str, default: bool | None, help: str, **more: Any) -> None:
        """Defines a flag that is on or off: `--name` or `--noname`."""
        self._define(flags.DEFINE_boolean, name, default, help, **more)

    def list(self, name: str, default: Sequence[str] | None, help: str, **more: Any) -> None:
        """Defines a flag that takes texts with commas between them."""
        if "comma" not in help:
            help += " Put commas between several."
        self._define(flags.DEFINE_list, name, default, help, **more)

    def enum(
        self, name: str, default: str | None, values: Sequence[str], help: str, **more: Any
    ) -> None:
        """Defines a flag that takes one of `values`."""
        self._define(flags.DEFINE_enum, name, default, values, help, **more)

    def _define(
        self,
        define: Callable[..., Any],
        name: str,
        *given: Any,
        only_with: str | None = None,
        not_with: str | None = None,
        required: str | None = None,
        **more: Any,
    ) -> None:
        *rest, help = given
        if required is not None:
            self._required[name] = required
            help += " Required."
        if only_with is not None:
            self._only_with[name] = only_with
            help = f"With --{only_with}: {help}"
        if not_with is not None:
            self._not_with[name] = not_with
            help = f"{help} Not with --{not_with}."
        define(name, *rest, help, flag_values=self.absl, **more)
        self._names.append(name)

    def __getattr__(self, name: str) -> Any:
        """The value of a flag."""
        if name == "absl" or name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.absl, name)

    def given(self, name: str) -> bool:
        """Whether a flag is on the command line."""
        return bool(self.absl[name].present)

    def check(self) -> None:
        """Raises a ConfigError for a flag that is missing, or is given and would do nothing."""
        self._check_effects()
        for name, what in self._required.items():
            wanted, unwanted = self._only_with.get(name), self._not_with.get(name)
            needed = (wanted is None or self._holds(wanted)) and not (
                unwanted is not None and self._holds(unwanted)
            )
            if needed and self.absl[name].value in (None, "", []):
                where = "" if wanted is None else f" with --{wanted}"
                raise ConfigError(f"--{name}: required{where}; give {what}")

    def _check_effects(self) -> None:
        for name in filter(self.given, self.absl):
            wanted, unwanted = self._only_with.get(name), self._not_with.get(name)
            if wanted is not None and not self._holds(wanted):
                raise ConfigError(f"{self._said(name)}: no effect without --{wanted}; leave it out")
            if unwanted is not None and self._holds(unwanted):
                raise ConfigError(f"{self._said(name)}: no effect with --{unwanted}; leave it out")

    def _said(self, name: str) -> str:
        value = self.absl[name].value
        if isinstance(value, bool):
            return f"--{name}" if value else f"--no{name}"
        return f"--{name}={','.join(value) if isinstance(value, list) else value}"

    def _holds(self, setting: str) -> bool:
        name, equals, wanted = setting.partition("=")
        value = self.absl[name].value
        if not equals:
            return value not in (None, False, [])
        values = value if isinstance(value, list) else [value]
        return not set(values).isdisjoint(wanted.split(" or "))

    def describe(self) -> str:
        """The flags as `--help` lists them, in the order of their definition."""
        return "\n".join(self._describe(self.absl[name]) for name in self._names)

    def _describe(self, flag: Any) -> str:
        title = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
        values = getattr(flag.parser, "enum_values", None)
        # Before the help of a flag of several values, absl puts them.
        text = re.sub(r"\A<[^>]*>: ", "", flag.help)
        # And after the help of a flag that may be given several times, this.
        text = text.removesuffix(";\n    repeat this option to specify a list of values")
        if values and len(values) > 1:
            text += f" One of {', '.join(values)}."
        if flag.boolean:
            text += f" Default on; --no{flag.name} turns it off." if flag.default else ""
        elif flag.default not in (None, "", []) and "efault" not in text:
            shown = flag.default
            if isinstance(shown, list):
                shown = ",".join(shown)
            text += f" Default {shown}."
        body = textwrap.fill(
            text, 96, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False
        )
        return f"  {title}\n{body}"

    def arguments(self, *, without: Sequence[str] = ()) -> dict[str, Any]:
        """The values by name, as keyword arguments of the function that does the work.

        Args:
            without: names of flags that the function does not take.
        """
        left_out = {*without, *_OF_ALL_COMMANDS}
        return {name: self.absl[name].value for name in self._names if name not in left_out}


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of the command line.

    Args:
        help: what it does, in a line of the usage.
        define: defines its flags.
        run: does it; what it returns, if anything, is the exit code.
        experiment: the experiment that it takes by default, for commands that take --config.
        keys: the keys of the experiment that it uses; None for all.
    """

    help: str
    define: Callable[[Flags], None]
    run: Callable[[Flags], int | None]
    experiment: str | None = None
    keys: tuple[str, ...] | None = None
