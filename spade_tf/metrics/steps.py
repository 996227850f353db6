"""Steps between neighbouring pixels, by place: grids and borders that a network leaves behind."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["StepProfile"]


class StepProfile:
    """Mean absolute steps between neighbouring pixels, by the place of the step.

    Step `x` of a row is `|p[x] - p[x - 1]|`, for x from 1 to W - 1; step `y` of a column likewise.
    Both are averaged over all pictures, channels, and over the rows or columns. In photographs the
    average is nearly the same everywhere. A generator that starts from a small grid and doubles it
    may leave larger steps where blocks of the grid meet, or along the border of the picture.

    It keeps only sums, one for each size of pictures.

    Example:
        >>> profile = StepProfile()
        >>> profile.update(np.array([[0, 0, 6, 6, 6, 6], [0, 0, 6, 6, 6, 6]])[None, ..., None])
        >>> columns, rows = profile.steps(2, 6)
        >>> columns
        array([0., 6., 0., 0., 0.])
    """

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int], list[np.ndarray]] = {}
        self._counts: dict[tuple[int, int], int] = {}

    def update(self, images: ArrayLike) -> None:
        """Adds a batch.

        Args:
            images: `[B, H, W, C]`, H and W at least 2, of any scale.
        """
        pictures = np.asarray(images)
        size = pictures.shape[1], pictures.shape[2]
        # Differences of uint8 would wrap around.
        pictures = pictures.astype(np.int16 if pictures.dtype == np.uint8 else np.float64)
        steps = [
            np.abs(np.diff(pictures, axis=axis)).mean(axis=(other, 3), dtype=np.float64).sum(0)
            for axis, other in ((2, 1), (1, 2))
        ]
        before = self._sums.get(size)
        self._sums[size] = (
            steps if before is None else [a + b for a, b in zip(before, steps, strict=True)]
        )
        self._counts[size] = self._counts.get(size, 0) + len(pictures)

    def steps(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean steps of the pictures of one size.

        Args:
            height: H of pictures that have been added.
            width: W likewise.

        Returns:
            float64 `[W - 1]`, horizontal steps, and `[H - 1]`, vertical ones.
        """
        columns, rows = self._sums[height, width]
        count = self._counts[height, width]
        return columns / count, rows / count

    def ratios(self, block: int) -> dict[str, float | None]:
        """Steps at borders of blocks and of the picture, over the median of all places.

        Args:
            block: int >= 1, height and width of blocks in pixels: step `k · block` is one between
                two blocks.

        Returns:
            `block_border` and `picture_border` (the first and the last step), the mean over both
            directions. 1 means that these places are like all others. None where there is no such
            place, or where the median is zero. Pictures of several sizes count by their number.
        """
        found: dict[str, list[tuple[float, int]]] = {"block_border": [], "picture_border": []}
        for size, count in self._counts.items():
            for steps in self.steps(*size):
                median = float(np.median(steps))
                if not median > 0:
                    continue
                # Entry i is step i + 1.
                blocks, border = steps[block - 1 :: block], steps[[0, -1]]
                found["picture_border"].append((float(border.mean()) / median, count))
                if blocks.size:
                    found["block_border"].append((float(blocks.mean()) / median, count))
        return {name: _weighted(values) for name, values in found.items()}


def _weighted(values: list[tuple[float, int]]) -> float | None:
    if not values:
        return None
    ratios, counts = zip(*values, strict=True)
    return float(np.average(ratios, weights=counts))
