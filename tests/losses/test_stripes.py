"""The stripe loss: by hand, and what it sees and does not see."""

import numpy as np
import pytest
import tensorflow as tf

from spade_tf.losses.stripes import stripe_loss


def _pictures(seed=0, shape=(2, 16, 16, 3)):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def test_by_hand():
    real = np.zeros((1, 2, 3, 1), "float32")
    fake = np.float32([[3, 0, 0], [0, 6, 0]])[None, :, :, None]
    # Means of rows: 1 and 2, a step of 1. Means of columns: 1.5, 3 and 0, a mean step of 2.25.
    np.testing.assert_allclose(stripe_loss(fake, real), (1.0 + 2.25) / 2)


def test_is_that_of_numpy_and_the_mean_over_pictures():
    fake, real = _pictures(0), _pictures(1)
    difference = (fake - real).astype("float64")
    rows, columns = difference.mean(2), difference.mean(1)
    expected = (np.abs(np.diff(rows, axis=1)).mean() + np.abs(np.diff(columns, axis=1)).mean()) / 2
    # float32 sums of some hundred numbers.
    np.testing.assert_allclose(stripe_loss(fake, real), expected, rtol=1e-5)
    each = [stripe_loss(fake[i : i + 1], real[i : i + 1]) for i in range(2)]
    np.testing.assert_allclose(stripe_loss(fake, real), np.mean(each), rtol=1e-5)


@pytest.mark.parametrize("axis", [1, 2])
def test_sees_stripes_of_both_directions_alike(axis):
    real = _pictures()
    ripple = 0.1 * (-1.0) ** np.arange(16)
    stripes = ripple.reshape([1, 16, 1, 1] if axis == 1 else [1, 1, 16, 1]).astype("float32")
    # A step of 0.2 at each of the lines, and none across them.
    np.testing.assert_allclose(stripe_loss(real + stripes, real), 0.1, rtol=1e-5)


def test_does_not_see_the_layout_the_light_or_texture():
    real = _pictures()
    real[:, 8:] += 1.0
    # Every second pixel lighter, as on a chessboard: no row and no column is.
    chessboard = 0.2 * (-1.0) ** np.add.outer(np.arange(16), np.arange(16))
    fake = real + 0.3 + chessboard[None, :, :, None].astype("float32")
    np.testing.assert_allclose(stripe_loss(fake, real), 0.0, atol=1e-6)


def test_half_precision_is_summed_in_float32_and_has_gradients():
    real = tf.constant(_pictures())
    fake = tf.Variable(tf.cast(real + 0.5, tf.bfloat16))
    with tf.GradientTape() as tape:
        loss = stripe_loss(fake, real)
    assert loss.dtype == tf.float32
    assert np.isfinite(tape.gradient(loss, fake).numpy().astype("float32")).all()
