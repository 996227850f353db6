"""Losses of a discriminator of pixels, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from spade_tf.losses.pixel_classification import class_weights, pixel_class_loss, pixel_fake_loss

# Of two classes and "fake", times the sum of each pixel.
PROBABILITIES = np.array([[[[2, 1, 1], [1, 1, 1], [1, 6, 1], [5, 1, 4]]]], np.float32)
LOGITS = tf.constant(np.log(PROBABILITIES))
LABEL = tf.constant([[[0, 1, 1, -1]]])


def test_by_hand():
    weights = tf.constant([3.0, 1.0])
    # The last pixel is outside: it counts in the mean of 4 alone.
    real = (3 * np.log(2) + np.log(3) + np.log(4 / 3)) / 4
    fake = (np.log(4) + np.log(3) + np.log(8)) / 4
    # One float32 rounding or two.
    np.testing.assert_allclose(pixel_class_loss(LOGITS, LABEL, weights), real, rtol=1e-6)
    np.testing.assert_allclose(pixel_fake_loss(LOGITS, LABEL), fake, rtol=1e-6)


def test_weights_by_hand():
    """5 labelled pixels of 2 classes that occur: 5 / (2 * 4) and 5 / (2 * 1)."""
    np.testing.assert_allclose(class_weights(tf.constant([4.0, 0.0, 1.0])), [0.625, 0.0, 2.5])
    np.testing.assert_array_equal(class_weights(tf.zeros([2])), [0.0, 0.0])


def test_weighted_classes_count_alike():
    """One class covers 1 pixel, the other 3: the loss is the mean of both classes' means."""
    label = tf.constant([[[0, 1, 1, 1]]])
    of_pixels = -np.log(PROBABILITIES / PROBABILITIES.sum(-1, keepdims=True))[0, 0]
    expected = (of_pixels[0, 0] + of_pixels[1:, 1].mean()) / 2
    actual = pixel_class_loss(LOGITS, label, class_weights(tf.constant([1.0, 3.0])))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("left_out", [-1, 2, 7])
def test_pixels_without_a_class_have_no_gradient(left_out):
    label = tf.constant([[[0, left_out, 1, 1]]])
    with tf.GradientTape() as tape:
        tape.watch(LOGITS)
        loss = pixel_class_loss(LOGITS, label, tf.ones([2]))
    gradient = tape.gradient(loss, LOGITS).numpy()[0, 0]
    np.testing.assert_array_equal(gradient[1], 0)
    # Down the gradient, the logit of the pixel's class rises and the others fall.
    for pixel, found in ((0, 0), (2, 1), (3, 1)):
        assert gradient[pixel, found] < 0
        assert (np.delete(gradient[pixel], found) > 0).all()


def test_half_precision_logits_give_a_float32_loss():
    logits = tf.cast(LOGITS, tf.bfloat16)
    for loss in (pixel_class_loss(logits, LABEL, tf.ones([2])), pixel_fake_loss(logits, LABEL)):
        assert loss.dtype == tf.float32
