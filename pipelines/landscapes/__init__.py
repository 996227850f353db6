"""Procedural landscapes: pictures with exact label and instance maps, made from a seed."""

from pipelines.landscapes.classes import CLASS_NAMES, PALETTE
from pipelines.landscapes.examples import FIRST_VAL_INDEX, can_draw, example_name
from pipelines.landscapes.lighting import TIMES_OF_DAY
from pipelines.landscapes.renderer import Landscape, check, render

__all__ = [
    "CLASS_NAMES",
    "FIRST_VAL_INDEX",
    "PALETTE",
    "TIMES_OF_DAY",
    "Landscape",
    "can_draw",
    "check",
    "example_name",
    "render",
]
