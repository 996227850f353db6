"""The regions of a label map, and what they are compared by: shape, surroundings and size."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

# Masks and surroundings are sampled on a grid of GRID x GRID points.
GRID = 16
# Surroundings are a square this much wider than the region: 25 % (Qi et al. 2018).
_ENLARGED = 1.25
# Stands for what is outside the picture in surroundings. Labels are below it.
_OUTSIDE = 65535


class Regions(NamedTuple):
    """The connected regions of a label map, one per row, in the order of their first pixel.

    Attributes:
        numbers: int `[H, W]`, the region of each pixel, 0 to `N - 1`.
        labels: int `[N]`, the label id of each.
        boxes: int `[N, 4]`, bounding box of each: top, left, bottom, right, the latter two
            excluded.
        areas: int `[N]`, in pixels.
        shapes: bool `[N, GRID * GRID]`, the mask within the square frame of the region: as wide
            as the longer side of its box, and with the same centre.
        surroundings: uint16 `[N, GRID * GRID]`, label ids in a frame that is 25 % wider; 65535
            outside the picture.
    """

    numbers: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    shapes: np.ndarray
    surroundings: np.ndarray

    @property
    def sides(self) -> np.ndarray:
        """The longer side of each box, int `[N]`."""
        return sides_of(self.boxes)

    def mask(self, index: int) -> np.ndarray:
        """The pixels of a region within its bounding box, bool `[h, w]`."""
        top, left, bottom, right = self.boxes[index]
        return self.numbers[top:bottom, left:right] == index


def sides_of(boxes: np.ndarray) -> np.ndarray:
    """The longer side of each bounding box, int `[N]`."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def find_regions(label: np.ndarray, instance: np.ndarray | None = None) -> Regions:
    """Finds the connected regions of a map.

    Args:
        label: integer ids `[H, W]`, 0 to 65534.
        instance: integer ids `[H, W]`, 0 to 65535; pixels of two instances are in two regions.
            None to go by labels alone.
    """
    label = label.astype(np.int64)
    ids = label if instance is None else label << 16 | instance.astype(np.int64)
    numbers = connected(ids)
    count = int(numbers.max()) + 1
    flat = numbers.ravel()
    areas = np.bincount(flat)
    # Pixels of one region after the other, each region's in the order of rows.
    order = np.argsort(flat, kind="stable")
    starts = np.cumsum(areas) - areas
    boxes = np.empty((count, 4), np.int64)
    for axis, places in enumerate(np.divmod(order, numbers.shape[1])):
        boxes[:, axis] = np.minimum.reduceat(places, starts)
        boxes[:, axis + 2] = np.maximum.reduceat(places, starts) + 1
    first = order[starts]
    inside, at = _sampled(numbers, boxes, 1.0)
    shapes = inside & (at == np.arange(count)[:, None])
    inside, at = _sampled(label, boxes, _ENLARGED)
    surroundings = np.where(inside, at, _OUTSIDE).astype(np.uint16)
    return Regions(numbers, label.ravel()[first], boxes, areas, shapes, surroundings)


def connected(ids: np.ndarray) -> np.ndarray:
    """Numbers the regions of equal ids that touch at sides or corners, by their first pixel.

    Runs of equal ids in a row are joined with those that they touch in the row above, by giving
    both the lower number until nothing changes.

    Args:
        ids: integers `[H, W]`.

    Returns:
        int64 `[H, W]`, 0 to the number of regions - 1.
    """
    height, width = ids.shape
    starts = np.ones((height, width), bool)
    starts[:, 1:] = ids[:, 1:] != ids[:, :-1]
    runs = starts.ravel().cumsum().reshape(height, width) - 1
    above, below = [], []
    for shift in (-1, 0, 1):
        left, right = max(shift, 0), width + min(shift, 0)
        one, other = np.s_[:-1, left - shift : right - shift], np.s_[1:, left:right]
        same = ids[one] == ids[other]
        above.append(runs[one][same])
        below.append(runs[other][same])
    count = int(runs[-1, -1]) + 1
    upper, lower = _distinct_pairs(np.concatenate(above), np.concatenate(below), count)
    roots = np.arange(count)
    while True:
        one, other = roots[upper], roots[lower]
        if (one == other).all():
            break
        low = np.minimum(one, other)
        np.minimum.at(roots, one, low)
        np.minimum.at(roots, other, low)
        while (roots != (further := roots[roots])).any():
            roots = further
    return np.unique(roots, return_inverse=True)[1].reshape(-1)[runs]


def neighbours(numbers: np.ndarray) -> np.ndarray:
    """The pairs of regions that touch at a side, int `[P, 2]`, each pair once, lower number first.

    Args:
        numbers: int `[H, W]`, see `Regions`.
    """
    one = np.concatenate([numbers[:, :-1].ravel(), numbers[:-1].ravel()])
    other = np.concatenate([numbers[:, 1:].ravel(), numbers[1:].ravel()])
    low, high = np.minimum(one, other), np.maximum(one, other)
    different = low != high
    return np.stack(_distinct_pairs(low[different], high[different], int(numbers.max()) + 1), 1)


def _distinct_pairs(one: np.ndarray, other: np.ndarray, count: int) -> tuple[Any, Any]:
    """Each pair of numbers from 0 to `count - 1` once."""
    return np.divmod(np.unique(one * count + other), count)


def _sampled(values: np.ndarray, boxes: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Values at the points of a grid over the square frame of each box, and which are inside."""
    height, width = values.shape
    offsets = (np.arange(GRID) + 0.5) / GRID - 0.5
    steps = offsets[None, :] * (scale * sides_of(boxes))[:, None]
    rows = np.floor((boxes[:, 0] + boxes[:, 2])[:, None] / 2 + steps).astype(np.int64)
    columns = np.floor((boxes[:, 1] + boxes[:, 3])[:, None] / 2 + steps).astype(np.int64)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
        :, None, :
    ]
    taken = values[
        np.clip(rows, 0, height - 1)[:, :, None], np.clip(columns, 0, width - 1)[:, None, :]
    ]
    count = len(boxes)
    return inside.reshape(count, -1), taken.reshape(count, -1)
