import itertools

import numpy as np
import pytest

from spade_tf.metrics import kernel_distance

# Rows, features, distance; computed by others.
GOLDENS = [(256, 16, 0.00119385329), (64, 64, 0.02577579065), (32, 128, 0.04206852831)]


def pair(rows, features):
    random = np.random.RandomState(2023)
    return random.randn(rows, features), random.randn(rows, features)


@pytest.mark.parametrize(("rows", "features", "expected"), GOLDENS)
def test_goldens(rows, features, expected):
    # The goldens have eleven digits.
    assert kernel_distance(*pair(rows, features)) == pytest.approx(expected, abs=1e-10)


def test_by_pairs():
    a, b = np.array([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]]), np.array([[1.0, 1.0], [0.0, 2.0]])

    def kernel(x, y):
        return (x @ y / 2 + 1) ** 3

    within = [
        np.mean([kernel(x, y) for x, y in itertools.permutations(rows, 2)]) for rows in (a, b)
    ]
    across = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(sum(within) - 2 * across, rel=1e-12)


def test_subsets_of_everything_are_the_whole():
    a, b = pair(64, 64)
    assert kernel_distance(a, b, num_subsets=3) == pytest.approx(kernel_distance(a, b), rel=1e-9)


def test_subsets_are_drawn_by_the_seed_and_have_no_bias():
    a, b = pair(256, 16)
    few = {"num_subsets": 200, "subset_size": 64}
    assert kernel_distance(a, b, seed=1, **few) == kernel_distance(a, b, seed=1, **few)
    assert kernel_distance(a, b, seed=1, **few) != kernel_distance(a, b, seed=2, **few)
    # The standard deviation of a subset's distance is 0.016 here, of the mean of 200 0.0011.
    assert kernel_distance(a, b, **few) == pytest.approx(0.00119, abs=0.004)


@pytest.mark.parametrize(
    ("b", "options", "message"),
    [
        ([[1.0]], {}, r"b must have shape \[N, C\] with N >= 2; received shape \(1, 1\)"),
        ([[1.0], [np.inf]], {}, "b must be finite; row 1"),
        ([[1.0, 2.0]] * 2, {}, "received 1 and 2"),
        ([[1.0], [2.0]], {"num_subsets": 0}, "num_subsets must be at least 1"),
    ],
)
def test_refuses(b, options, message):
    with pytest.raises(ValueError, match=message):
        kernel_distance([[0.0], [1.0]], b, **options)
