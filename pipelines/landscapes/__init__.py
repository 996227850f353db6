"""Procedural landscapes: pictures with exact label and instance maps, made from a seed."""

from pipelines.landscapes.classes import CLASS_NAMES, PALETTE
from pipelines.landscapes.lighting import TIMES_OF_DAY
from pipelines.landscapes.renderer import Landscape, check, render

__all__ = ["CLASS_NAMES", "PALETTE", "TIMES_OF_DAY", "Landscape", "check", "render"]
