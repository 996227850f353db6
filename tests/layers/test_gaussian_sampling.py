import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.gaussian_sampling import GaussianSampling


def test_reparameterisation_by_hand():
    # Deviations e^0 = 1, e^(ln 2) = 2.
    mu, logvar = tf.constant([[1.0, -3.0]]), tf.constant([[0.0, 2.0 * np.log(2.0)]])
    z = GaussianSampling()(mu, logvar, noise=tf.constant([[0.5, -1.0]]))
    np.testing.assert_allclose(z, [[1.5, -5.0]], rtol=1e-6)


def test_draws_when_no_noise_is_given():
    mu = tf.fill([4000, 2], 3.0)
    z = GaussianSampling()(mu, tf.fill([4000, 2], 2.0 * np.log(0.5))).numpy()
    # Five standard errors of a mean and of a deviation of 8000 draws of deviation 0.5.
    assert abs(z.mean() - 3.0) < 5 * 0.5 / 8000**0.5
    assert abs(z.std() - 0.5) < 5 * 0.5 / 16000**0.5


def test_gradients_by_hand():
    mu, logvar = tf.constant([[0.3]]), tf.constant([[2.0 * np.log(2.0)]], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([mu, logvar])
        z = GaussianSampling()(mu, logvar, noise=tf.constant([[0.7]]))
    gradients = tape.gradient(z, [mu, logvar])
    # dz/dlogvar = deviation * noise / 2.
    np.testing.assert_allclose(gradients, [[[1.0]], [[0.7]]], rtol=1e-6)


@pytest.mark.parametrize("scope", ["argument", "global"])
def test_mixed_precision_does_not_round_the_style(scope):
    policy = "mixed_bfloat16"
    before = keras.config.dtype_policy()
    try:
        if scope == "global":
            keras.config.set_dtype_policy(policy)
        layer = GaussianSampling() if scope == "global" else GaussianSampling(dtype=policy)
    finally:
        keras.config.set_dtype_policy(before)
    mu = tf.constant([[1.0 + 2.0**-20]])
    z = layer(mu, tf.zeros([1, 1]), noise=tf.zeros([1, 1]))
    assert z.dtype == tf.float32
    np.testing.assert_array_equal(z, mu)
