"""Which procedural landscapes a data set holds, by index, and which can be drawn for a model."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.landscapes.classes import CLASS_NAMES
from pipelines.landscapes.renderer import check

# Validation pictures have indices from here on, so that the splits never share one.
FIRST_VAL_INDEX = 1_000_000


def example_name(index: int, time_of_day: str) -> str:
    """The name of an example of a data set: `0000007_dusk`."""
    return f"{index:07d}_{time_of_day}"


def can_draw(class_names: Sequence[str], height: int, width: int) -> bool:
    """Whether landscapes have these classes, in this order, and can be drawn at this size."""
    if tuple(class_names) != CLASS_NAMES:
        return False
    try:
        check(0, 0, height, width)
    except ValueError:
        return False
    return True
