import numpy as np
import pytest

from spade_tf.metrics.steps import StepProfile


def stripes(*columns, height=3):
    """A grey picture of these columns, `[1, H, W, 3]`."""
    return np.tile(np.array(columns, np.uint8)[None, None, :, None], (1, height, 1, 3))


def test_by_hand():
    # Steps 2, 2, 2, 6, 2, 2, 4 at columns 1 to 7; their median is 2.
    picture = stripes(0, 2, 4, 6, 12, 10, 8, 12)
    profile = StepProfile()
    profile.update(picture)
    columns, rows = profile.steps(3, 8)
    np.testing.assert_array_equal(columns, [2, 2, 2, 6, 2, 2, 4])
    np.testing.assert_array_equal(rows, [0, 0])
    # Column 4 is the only border of two blocks of four: 6 / 2. At the borders: (2 + 4) / 2 / 2.
    # All vertical steps are zero, and so is their median: they say nothing.
    assert profile.ratios(4) == {"block_border": 3.0, "picture_border": 1.5}
    # Of blocks of two: (2 + 6 + 2) / 3 / 2.
    assert profile.ratios(2)["block_border"] == pytest.approx(10 / 3 / 2)
    # No two blocks of eight meet.
    assert profile.ratios(8) == {"block_border": None, "picture_border": 1.5}


def test_both_directions_count():
    profile = StepProfile()
    across = np.swapaxes(stripes(0, 1, 2, 3, 4, height=5), 1, 2).astype(np.int64)
    # Vertical steps are all 1, horizontal ones 2, 2, 4, 2.
    profile.update(across + stripes(0, 2, 4, 8, 10, height=5))
    assert profile.ratios(3) == {"block_border": (2.0 + 1.0) / 2, "picture_border": 1.0}


def test_batches_are_averaged_before_the_median():
    one, other = stripes(0, 4, 4, 4, 4), stripes(0, 0, 0, 4, 8)
    profile = StepProfile()
    profile.update(np.concatenate([one, other]))
    profile.update(one)
    # Sums 8, 0, 4, 4 of three: the median is 4 / 3.
    assert profile.ratios(2)["picture_border"] == pytest.approx((8 + 4) / 2 / 4)


def test_falling_steps_of_bytes_do_not_wrap_around():
    profile = StepProfile()
    profile.update(stripes(255, 0, 255))
    np.testing.assert_array_equal(profile.steps(3, 3)[0], [255, 255])


def test_sizes_count_by_their_pictures():
    profile = StepProfile()
    profile.update(np.repeat(stripes(0, 2, 4, 8), 3, 0))
    profile.update(stripes(0, 2, 4, 6, 8))
    # Steps 2, 2, 4: (2 + 4) / 2 / 2 of three pictures; steps of 2 alone: 1.
    assert profile.ratios(2)["picture_border"] == pytest.approx((3 * 1.5 + 1) / 4)


def test_flat_pictures_have_none():
    profile = StepProfile()
    profile.update(np.zeros([1, 4, 4, 3], np.uint8))
    assert profile.ratios(2) == {"block_border": None, "picture_border": None}
    assert StepProfile().ratios(2) == {"block_border": None, "picture_border": None}
