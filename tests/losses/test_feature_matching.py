import numpy as np
import pytest
import tensorflow as tf

from spade_tf.losses.feature_matching import feature_matching_loss


def test_by_hand():
    fake = [
        [tf.constant([[1.0, 2.0]]), tf.constant([[0.0]]), tf.constant([[9.0]])],
        [tf.constant([[5.0, 5.0, 5.0]]), tf.constant([[9.0]])],
    ]
    real = [
        [tf.constant([[0.0, 4.0]]), tf.constant([[-0.5]]), tf.constant([[-9.0]])],
        [tf.constant([[5.0, 2.0, 5.0]]), tf.constant([[-9.0]])],
    ]
    # Scale 0: (1 + 2) / 2 + 0.5; scale 1: 3 / 3. The logits do not count.
    np.testing.assert_allclose(feature_matching_loss(fake, real), (2.0 + 1.0) / 2)


def test_no_gradient_flows_into_the_real_side():
    fake, real, logits = tf.constant([[1.0, 2.0]]), tf.constant([[0.0, 4.0]]), tf.zeros([1, 1])
    with tf.GradientTape() as tape:
        tape.watch([fake, real, logits])
        loss = feature_matching_loss([[fake, logits]], [[real, logits]])
    gradients = tape.gradient(loss, [fake, real, logits])
    np.testing.assert_array_equal(gradients[0], [[0.5, -0.5]])
    assert gradients[1] is None
    assert gradients[2] is None


def test_half_precision_is_compared_in_float32():
    fake, real = tf.fill([1, 4096], 1.0), tf.fill([1, 4096], 2.0)
    fake, real = tf.cast(fake, tf.bfloat16), tf.cast(real, tf.bfloat16)
    loss = feature_matching_loss([[fake, fake]], [[real, real]])
    assert loss.dtype == tf.float32
    np.testing.assert_array_equal(loss, 1.0)


def test_unequal_lists_are_an_error():
    one = [[tf.zeros([1, 1])] * 2]
    with pytest.raises(ValueError, match="zip"):
        feature_matching_loss(one, one * 2)
