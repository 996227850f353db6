"""The Fréchet distance of two sets of features. With Inception features it is the FID."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["FeatureStatistics", "frechet_distance"]


class FeatureStatistics:
    """Mean and covariance of features that arrive in batches.

    It keeps only sums, so memory does not grow with the number of pictures. Sums are taken about
    the running mean (Chan's update), so features far from zero lose no digits.

    Args:
        num_features: int >= 1, number of features, C.

    Attributes:
        count: int, rows seen.
        mean: float64 `[C]`.

    Example:
        >>> statistics = FeatureStatistics(2)
        >>> statistics.update([[1.0, 2.0], [3.0, 6.0]])
        >>> statistics.mean
        array([2., 4.])
        >>> statistics.covariance
        array([[2., 4.],
               [4., 8.]])

    Reference: Chan, Golub and LeVeque 1979, Eq. 2.1.
    """

    def __init__(self, num_features: int):
        self.count = 0
        self.mean = np.zeros(num_features)
        self._scatter = np.zeros((num_features, num_features))

    def update(self, features: ArrayLike) -> None:
        """Adds a batch.

        Args:
            features: `[N, C]`, finite.

        Raises:
            ValueError: if the shape differs, or a value is not finite.
        """
        batch = _checked(features)
        if batch.shape[1] != self.mean.size:
            raise ValueError(
                f"features must have {self.mean.size} columns; received shape {batch.shape}"
            )
        if not len(batch):
            return
        mean = batch.mean(axis=0)
        centred = batch - mean
        self._combine(len(batch), mean, centred.T @ centred)

    def merge(self, other: FeatureStatistics) -> None:
        """Adds the rows of another one, for example from another device.

        Args:
            other: statistics with the same number of features.
        """
        self._combine(other.count, other.mean, other._scatter)

    def _combine(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        total = self.count + count
        if total == 0:
            return
        shift = mean - self.mean
        self._scatter += scatter + np.outer(shift, shift) * (self.count * count / total)
        self.mean = self.mean + shift * (count / total)
        self.count = total

    @property
    def covariance(self) -> np.ndarray:
        """float64 `[C, C]`, divided by `count - 1`.

        Raises:
            ValueError: if there are fewer than two rows.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 rows; received {self.count}")
        return self._scatter / (self.count - 1)


def frechet_distance(a: ArrayLike | FeatureStatistics, b: ArrayLike | FeatureStatistics) -> float:
    """The squared Fréchet (Wasserstein-2) distance of two Gaussians fitted to features.

    `|μ_a - μ_b|² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^{1/2})`, in float64, with covariances divided by
    N - 1. The trace of the root is the sum of the roots of the product's eigenvalues. With fewer
    rows than features many of these are zero, and rounding makes some negative. Roots are
    therefore complex: the root of a negative eigenvalue has real part zero, and none is NaN.

    Args:
        a: features `[N, C]`, N >= 2, or their `FeatureStatistics`.
        b: likewise, of the same C.

    Returns:
        The distance, >= 0. It is too large by about C / N: with fewer pictures than features, use
        `kernel_distance`.

    Raises:
        ValueError: if shapes do not fit, or values are not finite.

    Example:
        >>> round(frechet_distance([[0.0], [2.0]], [[5.0], [7.0]]), 12)
        25.0

    Reference: Heusel et al. 2017, Eq. 6, https://arxiv.org/abs/1706.08500.
    """
    first, second = _statistics(a), _statistics(b)
    if first.mean.shape != second.mean.shape:
        raise ValueError(
            "a and b must have the same number of features; received "
            f"{first.mean.size} and {second.mean.size}"
        )
    covariances = first.covariance, second.covariance
    eigenvalues = np.linalg.eigvals(covariances[0] @ covariances[1])
    root = np.sqrt(eigenvalues.astype(np.complex128)).real.sum()
    difference = first.mean - second.mean
    distance = difference @ difference + sum(map(np.trace, covariances)) - 2 * root
    # For equal sets, rounding can make it slightly negative.
    return max(float(distance), 0.0)


def _statistics(features: ArrayLike | FeatureStatistics) -> FeatureStatistics:
    if isinstance(features, FeatureStatistics):
        return features
    array = _checked(features)
    statistics = FeatureStatistics(array.shape[1])
    statistics.update(array)
    return statistics


def _checked(features: ArrayLike) -> np.ndarray:
    array = np.asarray(features, np.float64)
    if array.ndim != 2:
        raise ValueError(f"features must have shape [N, C]; received shape {array.shape}")
    if not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array).all(axis=1)))
        raise ValueError(f"features must be finite; row {row} is not")
    return array
