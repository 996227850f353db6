import numpy as np
import pytest

from spade_tf.metrics.intervals import bootstrap_interval


def test_the_interval_of_a_mean_is_that_of_the_central_limit():
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    low, high = bootstrap_interval(lambda i: values[i].mean(), 400, num_resamples=2000)
    half = 1.96 * values.std() / np.sqrt(400)
    # 2,000 sets leave the ends uncertain by about 5 % of the half width.
    np.testing.assert_allclose([low, high], [values.mean() - half, values.mean() + half], atol=0.03)


def test_it_repeats_and_follows_its_level_and_its_seed():
    values = np.random.default_rng(0).normal(size=50)

    def mean(index):
        return values[index].mean()

    once = bootstrap_interval(mean, 50, seed=1)
    assert once == bootstrap_interval(mean, 50, seed=1)
    assert once != bootstrap_interval(mean, 50, seed=2)
    narrow = bootstrap_interval(mean, 50, seed=1, level=0.5)
    assert once[0] < narrow[0] < narrow[1] < once[1]


def test_scores_that_are_not_finite_are_left_out():
    def score(index):
        return float("nan") if index[0] % 2 else 1.0

    assert bootstrap_interval(score, 10) == (1.0, 1.0)
    assert np.isnan(bootstrap_interval(lambda index: float("nan"), 10)).all()


def test_no_end_of_a_share_is_above_one():
    right = np.arange(32) > 1
    low, high = bootstrap_interval(lambda index: right[index].mean(), 32, bounds=(0.0, 1.0))
    # Without bounds it is moved beyond.
    assert bootstrap_interval(lambda index: right[index].mean(), 32)[1] > 1
    assert low < right.mean() < high == 1


@pytest.mark.parametrize("options", [{"count": 0}, {"num_resamples": 0}, {"level": 1.0}])
def test_arguments_out_of_range(options):
    with pytest.raises(ValueError, match="at least 1, level between 0 and 1; received"):
        bootstrap_interval(lambda index: 0.0, **{"count": 3, **options})


def test_the_interval_of_a_biased_score_holds_the_score():
    # The number of different pictures: all of 400, and 253 on average in a drawn set.
    low, high = bootstrap_interval(lambda index: float(len(set(index))), 400)
    assert low < 400 < high
    # A drawn set has a standard deviation of sqrt(400 (e - 2)) / e = 6.2; four of them wide.
    assert 18 < high - low < 32
