"""The memory bank: segments of training pictures, by class, and how one is found for a region."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from PIL import Image

from pipelines.collage.regions import Regions, find_regions, neighbours
from pipelines.schema import ArgumentError

# A segment is kept at most this large, since a bank holds thousands.
MAX_SIDE = 256


class Segments(NamedTuple):
    """The segments of one class, one per row, in the order in which they were met.

    Attributes:
        pictures: int `[N]`, number of the training picture that each is from.
        shapes: float32 `[N, GRID * GRID]`, 0 or 1; see `Regions`.
        points: float32 `[N]`, number of ones in these.
        surroundings: uint16 `[N, GRID * GRID]`; see `Regions`.
        sides: int `[N]`, the longer side of the bounding box of each, in pixels.
        pixels: uint8 `[h, w, 4]` of each: red, green and blue within the bounding box, and 255
            where the segment is, else 0.
    """

    pictures: np.ndarray
    shapes: np.ndarray
    points: np.ndarray
    surroundings: np.ndarray
    sides: np.ndarray
    pixels: list[np.ndarray]

    def scores(self, regions: Regions, index: int) -> np.ndarray:
        """How well each segment fits a region, float32 `[N]` in 0 to 3.

        The sum of three shares: intersection over union of the masks in a common frame; agreement
        of the label maps in the frame that is 25 % wider; and the ratio of sizes.

        Args:
            regions: of a label map.
            index: int, which of them.
        """
        shape = regions.shapes[index].astype(np.float32)
        both = self.shapes @ shape
        # A thin region may pass between the points of the grid.
        either = np.maximum(self.points + shape.sum() - both, 1)
        equal = self.surroundings == regions.surroundings[index]
        # Much faster than the mean of Booleans.
        agreement = equal.astype(np.float32) @ np.full(len(shape), 1 / len(shape), np.float32)
        side = regions.sides[index]
        ratio = np.minimum(self.sides, side) / np.maximum(self.sides, side)
        return (both / either + agreement + ratio).astype(np.float32)


class Bank(NamedTuple):
    """Segments of training pictures.

    Attributes:
        segments: by label id; a class that no training picture shows is missing.
        before: float `[L, L]` in -1 to 1, how often a region of the first label lies before one
            of the second that it touches (1: always, -1: never), from the training maps.
    """

    segments: dict[int, Segments]
    before: np.ndarray

    def find(self, regions: Regions, index: int, exclude: int | None = None) -> np.ndarray | None:
        """Finds the segment that fits a region best; of equal ones, the one that was met first.

        Args:
            regions: of a label map.
            index: int, which of them.
            exclude: number of the picture whose segments are not taken.

        Returns:
            Its `pixels`, or None if the bank has no segment of the class.
        """
        segments = self.segments.get(int(regions.labels[index]))
        if segments is None:
            return None
        scores = segments.scores(regions, index)
        if exclude is not None:
            scores[segments.pictures == exclude] = -1
        best = int(np.argmax(scores))
        return segments.pixels[best] if scores[best] >= 0 else None


class BankBuilder:
    """Fills a bank, picture by picture.

    Of classes with more segments than `size`, a sample is kept, in which large ones are likelier:
    the chance grows with the longer side. It follows from the seed and the pictures' numbers.

    Args:
        num_labels: int >= 1, ids are `[0, num_labels)`.
        size: int >= 1, most segments of a class.
        seed: int >= 0, of the sample.

    Raises:
        DataError: if an argument is out of range.
    """

    def __init__(self, num_labels: int, size: int, seed: int = 0) -> None:
        for name, value, least in (("bank_size", size, 1), ("seed", seed, 0)):
            if value < least:
                raise ArgumentError(name, f"{value} received; give {least} or more")
        self._size, self._seed = size, seed
        # Of each label a heap, the first to be dropped on top: (key, picture, region, segment).
        self._kept: list[list[tuple]] = [[] for _ in range(num_labels)]
        self._votes = np.zeros((num_labels, num_labels))
        self._counts = np.zeros((num_labels, num_labels))

    def add(
        self, number: int, image: np.ndarray, label: np.ndarray, instance: np.ndarray | None = None
    ) -> None:
        """Adds the segments of a picture.

        Args:
            number: int >= 0, of the picture; other for each.
            image: uint8 `[H, W, 3]`.
            label: integer ids `[H, W]`.
            instance: integer ids `[H, W]`, or None.
        """
        regions = find_regions(label, instance)
        self._vote(regions)
        random = np.random.default_rng([self._seed, number])
        drawn = 1 - random.random(len(regions.labels))
        # The largest keys are a sample without replacement, weighted by the sides: Efraimidis and
        # Spirakis 2006, "Weighted random sampling with a reservoir".
        keys = np.log(drawn) / regions.sides
        for index, (key, of_class) in enumerate(zip(keys, regions.labels, strict=True)):
            heap = self._kept[of_class]
            if len(heap) == self._size and key <= heap[0][0]:
                continue
            segment = (
                regions.shapes[index],
                regions.surroundings[index],
                regions.sides[index],
                _cut_out(image, regions, index),
            )
            push = heapq.heappush if len(heap) < self._size else heapq.heapreplace
            push(heap, (key, number, index, segment))

    def _vote(self, regions: Regions) -> None:
        """Counts, of regions that touch, which has more of itself in the other's bounding box."""
        count = len(regions.labels)
        within = np.empty((count, count))
        for index, (top, left, bottom, right) in enumerate(regions.boxes):
            crop = regions.numbers[top:bottom, left:right].ravel()
            within[:, index] = np.bincount(crop, minlength=count) / regions.areas
        pairs = neighbours(regions.numbers)
        for one, other in (pairs.T, pairs.T[::-1]):
            votes = np.sign(within[one, other] - within[other, one])
            labels = regions.labels[one], regions.labels[other]
            np.add.at(self._votes, labels, votes)
            np.add.at(self._counts, labels, 1)

    def finish(self) -> Bank:
        """Returns the bank of all that was added."""
        segments = {}
        for label, heap in enumerate(self._kept):
            if not heap:
                continue
            in_order = sorted(heap, key=lambda kept: kept[1:3])
            shapes, surroundings, sides, pixels = zip(*(kept[3] for kept in in_order), strict=True)
            masks = np.stack(shapes).astype(np.float32)
            segments[label] = Segments(
                np.array([kept[1] for kept in in_order]),
                masks,
                masks.sum(axis=1),
                np.stack(surroundings),
                np.array(sides),
                list(pixels),
            )
        return Bank(segments, self._votes / np.maximum(self._counts, 1))


def _cut_out(image: np.ndarray, regions: Regions, index: int) -> np.ndarray:
    """The pixels of a region, as `Segments` has them."""
    top, left, bottom, right = regions.boxes[index]
    alpha = np.where(regions.mask(index), np.uint8(255), np.uint8(0))
    pixels = np.dstack([image[top:bottom, left:right], alpha])
    height, width = alpha.shape
    scale = min(1.0, MAX_SIDE / max(height, width))
    return fitted(pixels, max(1, round(height * scale)), max(1, round(width * scale)))


def fitted(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scales a segment by antialiased linear interpolation; what is not of it does not bleed in.

    Args:
        pixels: uint8 `[h, w, 4]`, see `Segments`.
        height: int >= 1, in pixels.
        width: int >= 1, in pixels.

    Returns:
        uint8 `[height, width, 4]`, whose last channel is 255 where the segment covers at least
        half of a pixel, else 0. Of the same size, the segment as it is.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    # Pillow weighs colours by their opacity.
    scaled = np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
    scaled[..., 3] = np.where(scaled[..., 3] >= 128, 255, 0)
    return scaled
