import numpy as np
import pytest
import tensorflow as tf

from spade_tf.metrics.steps import border_ratio, grid_ratio, picture_steps


def upright(*columns, height=6):
    """A picture of these columns, float32 `[1, H, W, 3]`."""
    return np.tile(np.array(columns, np.float32)[None, None, :, None], (1, height, 1, 3))


def ratios(images, block):
    steps = picture_steps(tf.constant(images, tf.float32), block)
    return grid_ratio(steps.grid), border_ratio(steps.border, steps.grid)


def test_by_hand():
    # Horizontal steps 4, 1, 2, 2, 6, 2, 1, 3 at positions 1 to 8.
    picture = upright(0, 4, 5, 7, 9, 15, 13, 12, 9, height=9)
    steps = picture_steps(tf.constant(picture), block=3)
    np.testing.assert_array_equal(steps.border[0], [[4, 1, 1, 3], [0, 0, 0, 0]])
    # Inside are positions 3 to 6; 3 and 6 are where blocks of three meet.
    np.testing.assert_array_equal(steps.grid[0], [[2, 2, 6], [0, 0, 0]])
    # 21 in each of 9 rows, over 9 x 8 horizontal and as many vertical steps.
    np.testing.assert_allclose(steps.mean, [21 / 16], rtol=1e-6)
    # Vertical steps have a median of zero, and say nothing.
    assert ratios(picture, 3) == (3.0, 2.0)


def test_stripes_of_one_pixel_are_as_sharp_as_can_be_and_have_no_grid():
    columns = np.arange(96) % 2 * 2.0 - 1.0
    picture = upright(*columns, height=96)
    # Horizontal steps are all 2, vertical ones 0.
    assert float(picture_steps(tf.constant(picture), 32).mean[0]) == 1.0
    assert ratios(picture, 32) == (1.0, 1.0)


@pytest.mark.parametrize("direction", ["across", "down"])
def test_a_step_where_blocks_meet_alone(direction):
    # A ramp of 0.01 a column, and 0.05 from column 31 to 32 and from 63 to 64.
    steps = np.full(95, 0.01)
    steps[[31, 63]] = 0.05
    ramp = upright(*np.concatenate([[-1.0], np.cumsum(steps) - 1.0]), height=96)
    picture = ramp if direction == "across" else np.swapaxes(ramp, 1, 2)
    grid, border = ratios(picture, 32)
    # Differences of numbers up to 1, in float32.
    assert grid == pytest.approx(5.0, rel=1e-4)
    assert border == pytest.approx(1.0, rel=1e-4)
    # In blocks of 64, positions 32 and 0 have them.
    assert ratios(picture, 64)[0] == pytest.approx(5.0, rel=1e-4)


@pytest.mark.parametrize("place", [0, 1, -2, -1])
def test_the_outermost_two_steps_are_the_border_and_no_grid(place):
    steps = np.full(63, 0.01)
    steps[place] = 0.04
    picture = upright(*np.concatenate([[0.0], np.cumsum(steps)]), height=64)
    grid, border = ratios(picture, 32)
    assert grid == pytest.approx(1.0, rel=1e-4)
    assert border == pytest.approx(4.0, rel=1e-4)


def test_pictures_are_averaged_before_ratios():
    """Positions of one picture that another has no step at are made up for."""
    one, other = upright(*np.arange(12) // 2), upright(*np.arange(12))
    grids = [picture_steps(tf.constant(p, tf.float32), 2).grid for p in (one, other)]
    # Steps 0, 1, 0, 1 … and 1, 1, 1 …: 1 and 0.5 on average, with a median of 0.75.
    assert grid_ratio(np.concatenate(grids)) == pytest.approx(1 / 0.75)


def test_pictures_of_several_sizes_and_positions_that_are_not_there():
    small = picture_steps(tf.constant(upright(*np.arange(8))), 32)
    # Positions 3 to 5 of the inside of eight columns, 3 of six rows.
    assert np.flatnonzero(np.isfinite(small.grid[0, 0])).tolist() == [3, 4, 5]
    large = picture_steps(tf.constant(upright(*2 * np.arange(64))), 32)
    both = np.concatenate([small.grid, large.grid])
    # (1 + 2) / 2 at three positions, 2 at the others.
    assert grid_ratio(both) == 1.0
    assert border_ratio(np.concatenate([small.border, large.border]), both) == 1.5 / 2


def test_flat_pictures_have_no_ratio():
    assert np.isnan(ratios(np.zeros([2, 8, 8, 3]), 2)).all()


def test_in_a_graph_of_any_size_and_batch():
    random = np.random.default_rng(0)
    graph = tf.function(
        lambda images: picture_steps(images, 4),
        input_signature=[tf.TensorSpec([None, None, None, 3])],
    )
    for shape in ((3, 12, 20, 3), (1, 16, 8, 3)):
        images = random.uniform(-1, 1, shape).astype(np.float32)
        whole = graph(images)
        for index, image in enumerate(images):
            for a, b in zip(whole, picture_steps(tf.constant(image[None]), 4), strict=True):
                # Sums of a few hundred float32 numbers in another order.
                np.testing.assert_allclose(a[index], b[0], rtol=1e-5)
        # Another way to compute the mean.
        both = [np.abs(np.diff(images, axis=axis)) for axis in (1, 2)]
        pooled = [np.concatenate([each[i].ravel() for each in both]) for i in range(shape[0])]
        np.testing.assert_allclose(whole.mean, [each.mean() for each in pooled], rtol=1e-5)
