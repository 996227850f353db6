"""What is known of each example of a data set, beside its maps: an attribute, such as a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pipelines.landscapes import TIMES_OF_DAY
from pipelines.reading.prepared import without_canvases


class Attribute(NamedTuple):
    """A property that each picture of a data set has one value of.

    Attributes:
        name: such as "time of day".
        values: all values.
        value_of: from the name of an example to its value; what is none of `values` is unknown.
    """

    name: str
    values: tuple[str, ...]
    value_of: Callable[[str], str]

    def place(self, example: str) -> int:
        """The place of an example's value in `values`, or -1 if it is unknown.

        Args:
            example: its name.
        """
        value = self.value_of(example)
        return self.values.index(value) if value in self.values else -1


_ATTRIBUTES = {
    # Names such as 0000012_dusk.
    "landscapes": Attribute("time of day", TIMES_OF_DAY, lambda name: name.rpartition("_")[2]),
}


# The names of all attributes.
ATTRIBUTES = tuple(dict.fromkeys(attribute.name for attribute in _ATTRIBUTES.values()))


def attribute_of(dataset: str) -> Attribute | None:
    """The attribute of a data set; None where it has none.

    Args:
        dataset: its name, with or without a configuration.
    """
    return _ATTRIBUTES.get(without_canvases(dataset).partition("/")[0])
