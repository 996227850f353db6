import numpy as np
import pytest

from spade_tf.metrics import FeatureStatistics, frechet_distance

# Rows, features, distance of a and b, distance of a and 1.5 b + 0.3; computed by others.
GOLDENS = [
    (256, 16, 0.7446990646, 7.2065167076),
    (64, 64, 34.7159154499, 76.6421676759),
    (32, 128, 161.2132072393, 291.5113227792),
]


def pair(rows, features):
    random = np.random.RandomState(2023)
    return random.randn(rows, features), random.randn(rows, features)


@pytest.mark.parametrize(("rows", "features", "plain", "moved"), GOLDENS)
def test_goldens(rows, features, plain, moved):
    a, b = pair(rows, features)
    # Roots of eigenvalues that are zero but for rounding (1e-16) are 1e-8 each, 96 of them in the
    # last case: what they add up to depends on the processor.
    assert frechet_distance(a, b) == pytest.approx(plain, abs=5e-6)
    assert frechet_distance(a, 1.5 * b + 0.3) == pytest.approx(moved, abs=5e-6)


def test_one_feature_is_the_closed_form():
    a, b = np.array([[0.0], [2.0], [4.0]]), np.array([[10.0], [14.0], [18.0]])
    assert frechet_distance(a, b) == pytest.approx((14 - 2) ** 2 + (4 - 2) ** 2, rel=1e-12)


def test_shift_of_the_mean_alone():
    a = np.random.RandomState(0).randn(4096, 32)
    assert frechet_distance(a, a + 1.0) == pytest.approx(32.0, rel=1e-9)


def test_fewer_rows_than_features_is_no_nan():
    random = np.random.RandomState(1)
    a, b = random.randn(4, 4), random.randn(4, 4)
    # Rank three of four: the root of the nuclear norm has no rounding of zeros in it.
    centred = [x - x.mean(0) for x in (a, b)]
    root = np.linalg.svd(centred[0] @ centred[1].T / 3, compute_uv=False).sum()
    shift = a.mean(0) - b.mean(0)
    expected = shift @ shift + sum((x**2).sum() / 3 for x in centred) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-6)


def test_equal_sets_have_none():
    a, _ = pair(64, 16)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_batches_and_devices_give_the_statistics_of_the_whole():
    # Far from zero, so that sums of squares would lose half of the digits.
    a = pair(256, 16)[0] + 1e4
    parts = FeatureStatistics(16), FeatureStatistics(16)
    for index, batch in enumerate(np.array_split(a, 7)):
        parts[index % 2].update(batch)
    parts[0].merge(parts[1])
    assert parts[0].count == 256
    np.testing.assert_allclose(parts[0].mean, a.mean(0), rtol=1e-14)
    np.testing.assert_allclose(parts[0].covariance, np.cov(a.T), atol=1e-10)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros([3]), r"shape \[N, C\]; received shape \(3,\)"),
        ([[1.0], [np.nan], [2.0]], "row 1"),
        ([[1.0]], "at least 2 rows; received 1"),
        ([[1.0, 2.0], [1.0, 3.0]], "same number of features; received 1 and 2"),
    ],
)
def test_refuses(features, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance([[0.0], [1.0]], features)


def test_batch_of_other_features():
    with pytest.raises(ValueError, match=r"4 columns; received shape \(2, 3\)"):
        FeatureStatistics(4).update(np.zeros([2, 3]))
