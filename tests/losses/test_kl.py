import numpy as np
import tensorflow as tf

from spade_tf.losses.kl import kl_divergence


def test_of_the_standard_normal_is_zero():
    np.testing.assert_array_equal(kl_divergence(tf.zeros([3, 4]), tf.zeros([3, 4])), 0.0)


def test_by_hand_and_summed():
    mu, logvar = tf.constant([[2.0, 0.0], [0.0, 0.0]]), np.log([[1.0, 4.0], [1.0, 0.25]])
    # mu^2 / 2 = 2; (4 - 1 - ln 4) / 2; (1/4 - 1 + ln 4) / 2.
    expected = 2.0 + (3.0 - np.log(4.0)) / 2 + (-0.75 + np.log(4.0)) / 2
    np.testing.assert_allclose(kl_divergence(mu, tf.constant(logvar)), expected, rtol=1e-6)


def test_is_the_integral_of_the_log_ratio():
    mu, deviation = 0.7, 1.6
    x = np.linspace(-20.0, 20.0, 200_001)
    density = np.exp(-((x - mu) ** 2) / (2 * deviation**2)) / (deviation * np.sqrt(2 * np.pi))
    log_ratio = -np.log(deviation) - (x - mu) ** 2 / (2 * deviation**2) + x**2 / 2
    expected = (density * log_ratio).sum() * (x[1] - x[0])
    actual = kl_divergence(tf.constant([[mu]]), tf.constant([[2 * np.log(deviation)]]))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_half_precision_gives_float32():
    loss = kl_divergence(tf.ones([1, 1000], tf.bfloat16), tf.zeros([1, 1000], tf.bfloat16))
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, 500.0)


def test_of_a_variance_near_one():
    """Digits do not cancel out, as those of 1 + logvar - exp(logvar) would."""
    logvar = np.random.default_rng(0).normal(scale=1e-3, size=(4, 256))
    logvar = logvar.astype("float32").astype("float64")
    expected = np.sum(np.expm1(logvar) - logvar) / 2
    actual = kl_divergence(tf.zeros(logvar.shape), tf.constant(logvar, tf.float32))
    # A term is right to a rounding of its logvar, 1e-10 of terms of 5e-7, and errors average out.
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
