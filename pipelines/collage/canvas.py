"""Composes the canvas of a label map from the segments of a bank."""

from __future__ import annotations

import numpy as np

from pipelines.collage.bank import Bank, fitted
from pipelines.collage.regions import Regions, find_regions


def compose(
    bank: Bank,
    label: np.ndarray,
    instance: np.ndarray | None = None,
    exclude: int | None = None,
) -> np.ndarray:
    """Composes the canvas of a label map.

    For each region, the segment that fits best is scaled to the region's bounding box and laid
    down, from the back to the front. A segment that goes beyond its region hides what lies
    further back there.

    Args:
        bank: of segments.
        label: integer ids `[H, W]`.
        instance: integer ids `[H, W]`, or None.
        exclude: number of the training picture whose segments are not taken. In training, that of
            the map: a network would learn to copy.

    Returns:
        uint8 `[H, W, 4]`: red, green, blue, and 255; all four 0 where no segment covers the map.

    Reference: Qi et al. 2018, "Semi-parametric Image Synthesis", sections 3 and 4,
        https://arxiv.org/abs/1804.10992; differs: the ratio of sizes counts in place of a learned
        spatial transformer, and the order is a statistic of the training maps, not a network.
    """
    regions = find_regions(label, instance)
    canvas = np.zeros((*label.shape, 4), np.uint8)
    for index in layers(bank, regions):
        pixels = bank.find(regions, index, exclude)
        if pixels is None:
            continue
        top, left, bottom, right = regions.boxes[index]
        piece = fitted(pixels, int(bottom - top), int(right - left))
        covered = piece[..., 3] == 255
        canvas[top:bottom, left:right][covered] = piece[covered]
    return canvas


def layers(bank: Bank, regions: Regions) -> list[int]:
    """The regions from the back to the front.

    Classes come in the order of how often they lie before the other classes of the map, on
    average over these; of one class, larger regions come first.

    Args:
        bank: which knows what lies before what.
        regions: of a label map.
    """
    present = np.unique(regions.labels)
    # A class lies neither before nor behind itself: that entry is 0.
    before = bank.before[np.ix_(present, present)].mean(axis=1)
    rank = before[np.searchsorted(present, regions.labels)]
    return np.lexsort((np.arange(len(rank)), -regions.areas, rank)).tolist()
