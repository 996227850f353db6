"""What is kept of each picture, and the scores of all of them with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from spade_tf.metrics.frechet import frechet_distance
from spade_tf.metrics.intervals import bootstrap_interval
from spade_tf.metrics.kernel import kernel_distance
from spade_tf.metrics.steps import border_ratio, grid_ratio

_RESAMPLES = 200
# A Fréchet distance takes a second or more: its interval is of fewer drawn sets.
_DISTANCE_RESAMPLES = 20


class Rows:
    """Numbers of each picture, by name, that arrive in batches.

    Nothing is as large as a picture: features of 1,280 numbers, and counts of pixels by class.
    """

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}

    def add(self, **batch: np.ndarray) -> None:
        """Adds a batch.

        Args:
            **batch: `[B, …]` for each name.
        """
        for name, values in batch.items():
            self._parts.setdefault(name, []).append(np.asarray(values))

    def __getitem__(self, name: str) -> np.ndarray:
        return np.concatenate(self._parts[name])

    def get(self, name: str) -> np.ndarray | None:
        """The numbers of all pictures; None if there are none of this name."""
        parts = self._parts.get(name)
        return None if parts is None else np.concatenate(parts)

    def last(self, name: str) -> np.ndarray:
        """The numbers of the last batch."""
        return self._parts[name][-1]

    def __contains__(self, name: str) -> bool:
        return name in self._parts


def pixel_counts(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels by class, of each picture: right ones, true ones and predicted ones.

    Args:
        labels: int `[B, H, W]`; ids outside `0 … num_classes - 1` leave a pixel out.
        predictions: int `[B, H, W]`, ids.
        num_classes: int, C.

    Returns:
        int64 `[B, 3, C]`.
    """
    counts = np.zeros((len(labels), 3, num_classes), np.int64)
    for row, label, prediction in zip(counts, labels, predictions, strict=True):
        known = (label >= 0) & (label < num_classes)
        label, prediction = label[known], prediction[known]
        row[0] = np.bincount(label[label == prediction], minlength=num_classes)
        row[1] = np.bincount(label, minlength=num_classes)
        row[2] = np.bincount(prediction, minlength=num_classes)[:num_classes]
    return counts


def distances(real: np.ndarray, fake: np.ndarray, seed: int) -> dict[str, Any]:
    """Fréchet and kernel distance of features, with intervals over the generated pictures.

    Args:
        real: `[N, C]`, N >= 2.
        fake: `[M, C]`, M >= 2.
        seed: int, of the drawn sets.

    Returns:
        Both as JSON has them, and under `floor` those of one half of the real pictures to the
        other, where there are four or more.
    """
    reference = Gaussian(real)

    def frechet(index: np.ndarray) -> float:
        return reference.distance(Gaussian(fake[index]))

    def kernel(index: np.ndarray) -> float:
        return kernel_distance(real, fake[index], num_subsets=10, seed=seed)

    options = {"num_resamples": _DISTANCE_RESAMPLES, "seed": seed}
    found: dict[str, Any] = {
        "frechet_distance": scored(
            frechet_distance(real, fake), frechet, len(fake), bounds=(0.0, np.inf), **options
        ),
        "kernel_distance": scored(
            kernel_distance(real, fake, num_subsets=100, seed=seed), kernel, len(fake), **options
        ),
    }
    if len(real) >= 4:
        order = np.random.default_rng(seed).permutation(len(real))
        one, other = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
        found["floor"] = {
            "frechet_distance": Gaussian(one).distance(Gaussian(other)),
            "kernel_distance": kernel_distance(one, other, num_subsets=100, seed=seed),
        }
    return found


class Gaussian:
    """Features as a mean and a root of their covariance, for many distances to one set.

    With roots `R`, `Rᵀ R = Σ`, the trace of `(Σ_a Σ_b)^{1/2}` is the sum of the singular values of
    `R_a R_bᵀ`: a tenth of the time of `frechet_distance` for 500 pictures, and the same number but
    for rounding.

    Args:
        features: `[N, C]`, N >= 2.
    """

    def __init__(self, features: np.ndarray):
        array = np.asarray(features, np.float64)
        self.mean = array.mean(axis=0)
        root = (array - self.mean) / np.sqrt(len(array) - 1)
        self.root = root if len(root) <= root.shape[1] else np.asarray(np.linalg.qr(root, mode="r"))

    def distance(self, other: Gaussian) -> float:
        """The Fréchet distance."""
        difference = self.mean - other.mean
        traces = np.square(self.root).sum() + np.square(other.root).sum()
        product = np.linalg.svd(self.root @ other.root.T, compute_uv=False).sum()
        return max(float(difference @ difference + traces - 2 * product), 0.0)


def step_scores(rows: Rows, seed: int) -> dict[str, Any]:
    """How sharp pictures are, and steps at the borders of blocks and of the picture.

    Args:
        rows: with `KIND/steps/mean`, `.../grid` and `.../border`, see
            `spade_tf.metrics.steps.PictureSteps`, of the kinds fake and real.
        seed: int, of intervals.

    Returns:
        `sharpness`, and `steps` by kind. None in place of a score that flat pictures do not have.
    """
    kinds = ("fake", "real")
    fake, real = (rows[f"{kind}/steps/mean"].astype(np.float64) for kind in kinds)

    def sharpness(index: np.ndarray) -> float:
        below = real[index].sum()
        return float(fake[index].sum() / below) if below else float("nan")

    steps: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        grid, border = rows[f"{kind}/steps/grid"], rows[f"{kind}/steps/border"]
        steps[kind] = {
            "block_border": _ratio(
                lambda index, grid=grid: grid_ratio(grid[index]), len(grid), seed
            ),
            "picture_border": _ratio(
                lambda index, grid=grid, border=border: border_ratio(border[index], grid[index]),
                len(grid),
                seed,
            ),
        }
    return {"sharpness": _ratio(sharpness, len(real), seed), "steps": steps}


def _ratio(score: Any, count: int, seed: int) -> dict[str, Any] | None:
    value = score(np.arange(count))
    return None if np.isnan(value) else scored(value, score, count, seed=seed, bounds=(0.0, np.inf))


def scored(value: float, score: Any, count: int, **options: Any) -> dict[str, Any]:
    """A score with its 95 % interval, as JSON has it."""
    low, high = bootstrap_interval(score, count, **{"num_resamples": _RESAMPLES, **options})
    return {"value": value, "interval": [low, high]}


def mean_score(values: np.ndarray, seed: int) -> dict[str, Any]:
    """The mean of a number of each picture, with its interval."""
    return scored(
        float(values.mean()),
        lambda index: float(values[index].mean()),
        len(values),
        seed=seed,
        bounds=(float(values.min()), float(values.max())),
    )
