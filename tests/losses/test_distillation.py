import numpy as np
import pytest
import tensorflow as tf

from spade_tf.losses.distillation import distillation_feature_loss, distillation_output_loss


def test_output_loss_by_hand():
    student = tf.constant([[[[0.5, 0.0, -1.0]]], [[[1.0, 1.0, 1.0]]]])
    teacher = tf.constant([[[[0.0, 0.0, 1.0]]], [[[1.0, 0.5, 1.0]]]])
    # (0.5 + 0 + 2 + 0 + 0.5 + 0) / 6
    np.testing.assert_allclose(distillation_output_loss(student, teacher), 0.5, rtol=1e-6)


def test_feature_loss_by_hand():
    one = (tf.constant([[[[1.0]]], [[[3.0]]]]), tf.constant([[[[2.0]]], [[[-1.0]]]]))
    other = (tf.constant([[[[0.0, 3.0]]], [[[3.0, 4.0]]]]), tf.constant([[[[0.0, 1.0]]]] * 2))
    # Map 1: (1 / 4 + 16 / 1) / 2. Map 2: (4 / 1 + 18 / 1) / 2.
    expected = (8.125 + 11.0) / 2
    actual = distillation_feature_loss([one[0], other[0]], [one[1], other[1]])
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_feature_loss_does_not_depend_on_scale_and_is_1_of_silence():
    random = np.random.default_rng(0)
    student, teacher = random.normal(size=(2, 3, 4, 4, 5)).astype("float32")
    loss = distillation_feature_loss([student], [teacher])
    scaled = distillation_feature_loss([1000.0 * student], [1000.0 * teacher])
    np.testing.assert_allclose(scaled, loss, rtol=1e-5)
    np.testing.assert_allclose(
        distillation_feature_loss([tf.zeros_like(teacher)], [teacher]), 1.0, rtol=1e-5
    )
    assert float(distillation_feature_loss([teacher], [teacher])) == 0.0


@pytest.mark.parametrize(
    "loss",
    [distillation_output_loss, lambda s, t: distillation_feature_loss([s], [t])],
    ids=["output", "feature"],
)
def test_no_gradient_flows_to_the_teacher_and_half_precision_is_widened(loss):
    student, teacher = tf.Variable(tf.ones([1, 2, 2, 3])), tf.Variable(tf.fill([1, 2, 2, 3], 3.0))
    with tf.GradientTape() as tape:
        value = loss(tf.cast(student, tf.bfloat16), tf.cast(teacher, tf.bfloat16))
    assert value.dtype == tf.float32
    gradients = tape.gradient(value, [student, teacher])
    assert gradients[1] is None
    assert (gradients[0].numpy() < 0).all()
