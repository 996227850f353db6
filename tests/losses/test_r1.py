import numpy as np
import pytest
import tensorflow as tf

from spade_tf.losses.r1 import r1_penalty


def test_by_hand():
    # D(x) is the mean of w x^2 over 2x2x3 numbers: its gradient is 2 w x / 12.
    x = np.random.default_rng(0).normal(size=(5, 2, 2, 3)).astype(np.float32)
    w = tf.Variable(3.0)

    def logits(image):
        return [w * tf.square(image)]

    with tf.GradientTape() as tape:
        penalty = r1_penalty(logits, tf.constant(x))
    squares = np.square(x).sum((1, 2, 3)).mean()
    np.testing.assert_allclose(penalty, 0.5 * (2 * 3 / 12) ** 2 * squares, rtol=1e-6)
    # d/dw of 1/2 (w/6)^2 s
    np.testing.assert_allclose(tape.gradient(penalty, w), 3.0 / 36 * squares, rtol=1e-6)


def test_scales_are_averaged():
    x = tf.ones((2, 4, 4, 3))
    once = r1_penalty(lambda image: [image], x)
    twice = r1_penalty(lambda image: [image, image], x)
    half = r1_penalty(lambda image: [image, tf.zeros_like(image)], x)
    np.testing.assert_allclose(once, 0.5 / 48, rtol=1e-6)
    np.testing.assert_allclose(twice, once, rtol=1e-6)
    np.testing.assert_allclose(half, once / 4, rtol=1e-6)


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_half_precision_gives_a_float32_loss(dtype):
    penalty = r1_penalty(lambda image: [tf.cast(image, dtype)], tf.ones((2, 4, 4, 3)))
    assert penalty.dtype == tf.float32
    # The square of 1/48, rounded by up to 2^-9: bfloat16 keeps 8 bits.
    np.testing.assert_allclose(penalty, 0.5 / 48, rtol=0.005)
