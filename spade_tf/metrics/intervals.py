"""How far a score may be off, by drawing the pictures again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["bootstrap_interval"]


def bootstrap_interval(
    score: Callable[[np.ndarray], float],
    count: int,
    *,
    num_resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[float, float]:
    """The interval of a score over pictures.

    Pictures are drawn from the set, with replacement, as many as there are. The score of each such
    set is computed. The interval holds the middle `level` of these scores, moved so that their mean
    is the score of the whole set: a drawn set repeats pictures, so that a score with a bias for
    small sets, such as the Fréchet distance, is larger on all drawn sets than on the whole one.

    Args:
        score: takes int64 `[count]`, indices of the drawn pictures, and returns the score.
        count: int >= 1, number of pictures.
        num_resamples: int >= 1, sets to draw.
        level: float in (0, 1), share of the scores inside.
        seed: int, which sets.
        bounds: the least and the largest possible score. Moving leaves no end beyond them.

    Returns:
        The lower and the upper end. Scores that are not finite are left out.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> values = np.array([1.0, 1.0, 1.0])
        >>> bootstrap_interval(lambda index: values[index].mean(), 3)
        (1.0, 1.0)

    Reference: Efron 1979; Efron and Tibshirani 1993, section 13.3, and 10.2 for the bias. The bias
        that the whole set itself has is left in.
    """
    if count < 1 or num_resamples < 1 or not 0 < level < 1:
        raise ValueError(
            "count and num_resamples must be at least 1, level between 0 and 1; received "
            f"{count}, {num_resamples} and {level}"
        )
    random = np.random.default_rng(seed)
    scores = np.array([score(random.integers(0, count, count)) for _ in range(num_resamples)])
    scores = scores[np.isfinite(scores)]
    if not scores.size:
        return (float("nan"), float("nan"))
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    whole = score(np.arange(count))
    if np.isfinite(whole):
        low, high = whole + np.array([low, high]) - scores.mean()
    low, high = np.clip([low, high], *bounds)
    return float(low), float(high)
