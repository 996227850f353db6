"""The kernel distance of two sets of features. With Inception features it is the KID."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["kernel_distance"]


def kernel_distance(
    a: ArrayLike,
    b: ArrayLike,
    *,
    num_subsets: int | None = None,
    subset_size: int = 1000,
    seed: int = 0,
) -> float:
    """The squared maximum mean discrepancy under a cubic kernel, without bias.

    With `k(x, y) = (x·y / C + 1)³`: the mean of `k(a_i, a_j)` over pairs i ≠ j, plus that of b,
    minus twice the mean of `k(a_i, b_j)`. Unlike the Fréchet distance, it has no bias for small
    sets. It may be slightly negative if both sets come from one distribution.

    Args:
        a: features `[N, C]`, N >= 2, finite.
        b: features `[M, C]`, M >= 2, finite.
        num_subsets: int >= 1, number of random subsets to average over, usually 100; None for the
            whole sets at once, which needs memory for N × M numbers.
        subset_size: int >= 2, rows of a subset; at most N and M are used.
        seed: int, chooses the subsets.

    Returns:
        The distance.

    Raises:
        ValueError: if shapes do not fit, or values are not finite.

    Example:
        >>> kernel_distance([[1.0], [1.0]], [[0.0], [0.0]])
        7.0

    Reference: Bińkowski et al. 2018, section 4, https://arxiv.org/abs/1801.01401.
    """
    first, second = _checked("a", a), _checked("b", b)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            "a and b must have the same number of features; received "
            f"{first.shape[1]} and {second.shape[1]}"
        )
    if num_subsets is None:
        return _squared_discrepancy(first, second)
    if num_subsets < 1 or subset_size < 2:
        raise ValueError(
            f"num_subsets must be at least 1 and subset_size at least 2; received {num_subsets} "
            f"and {subset_size}"
        )
    size = min(subset_size, len(first), len(second))
    random = np.random.default_rng(seed)
    distances = [
        _squared_discrepancy(
            first[random.choice(len(first), size, replace=False)],
            second[random.choice(len(second), size, replace=False)],
        )
        for _ in range(num_subsets)
    ]
    return float(np.mean(distances))


def _checked(name: str, features: ArrayLike) -> np.ndarray:
    array = np.asarray(features, np.float64)
    if array.ndim != 2 or len(array) < 2:
        raise ValueError(f"{name} must have shape [N, C] with N >= 2; received shape {array.shape}")
    if not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array).all(axis=1)))
        raise ValueError(f"{name} must be finite; row {row} is not")
    return array


def _squared_discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    within = sum(
        (_kernel(x, x).sum() - (((x * x).mean(axis=1) + 1) ** 3).sum()) / (len(x) * (len(x) - 1))
        for x in (a, b)
    )
    return float(within - 2 * _kernel(a, b).mean())


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3
