"""The pictures that a report shows: the best, the worst, and styles of one layout."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.commands.evaluate.pairs import Batch
from experiments.setup.layouts import shown_maps

_SHOWN, _LAYOUTS = 8, 4


class Shown(NamedTuple):
    """A generated picture beside its maps and the real one; uint8 `[H, W, 3]` each."""

    name: str
    distance: float
    maps: dict[str, np.ndarray]
    fake: np.ndarray
    real: np.ndarray


class Gallery:
    """Keeps a few pictures out of any number.

    Args:
        palette: an RGB colour in 0..255 per id, of label maps.

    Attributes:
        styles: for each of the first layouts, its maps, and its pictures in several styles.
    """

    def __init__(self, palette: Sequence[Sequence[int]]):
        self.palette = palette
        self.styles: list[list[np.ndarray]] = []
        self._near: list[tuple[float, int, Shown]] = []
        self._far: list[tuple[float, int, Shown]] = []
        self._count = 0

    def add(self, batch: Batch, fakes: np.ndarray, distances: np.ndarray) -> None:
        """Looks at a batch.

        Args:
            batch: real pictures and maps.
            fakes: uint8 `[B, K, H, W, 3]`, pictures in K styles.
            distances: `[B]`, how far the first of them are from the real ones.
        """
        for index, name in enumerate(batch.names):
            maps = {key: value[index] for key, value in batch.maps.items()}
            pictures = shown_maps(maps, self.palette)
            if len(self.styles) < _LAYOUTS and fakes.shape[1] > 1:
                self.styles.append([*pictures.values(), *fakes[index]])
            shown = Shown(
                name, float(distances[index]), pictures, fakes[index, 0], batch.images[index]
            )
            self._count += 1
            # The smallest of a heap goes first: the farthest of the near, the nearest of the far.
            for heap, sign in ((self._near, -1), (self._far, 1)):
                heapq.heappush(heap, (sign * shown.distance, sign * self._count, shown))
                if len(heap) > _SHOWN:
                    heapq.heappop(heap)

    @property
    def best(self) -> list[Shown]:
        """Pictures nearest to the real ones, nearest first. Of few, the nearer half."""
        nearest = [shown for *_, shown in sorted(self._near, reverse=True)]
        return nearest[: (self._count + 1) // 2]

    @property
    def worst(self) -> list[Shown]:
        """Pictures farthest from the real ones, farthest first. Of few, the farther half."""
        farthest = [shown for *_, shown in sorted(self._far, reverse=True)]
        return farthest[: self._count // 2]
