"""LabelMix, by hand."""

import numpy as np
import tensorflow as tf

from spade_tf.losses.label_mix import label_mix_loss, label_mix_mask

LABEL = tf.constant([[[0, 1], [2, 1]], [[0, 1], [-1, 5]]])


def test_the_mask_takes_whole_classes():
    draws = tf.constant([[0.1, 0.5, 0.4], [0.9, 0.0, 0.9]])
    # The second example's last two pixels have no class.
    expected = [[[True, False], [True, False]], [[False, True], [True, True]]]
    np.testing.assert_array_equal(label_mix_mask(LABEL, draws)[..., 0], expected)


def test_the_loss_by_hand():
    mask = tf.constant([[[[True], [False]]]])
    real, fake = (
        tf.constant([[[[1.0, 2.0], [9.0, 9.0]]]]),
        tf.constant([[[[9.0, 9.0], [3.0, 4.0]]]]),
    )
    mixed = tf.constant([[[[1.5, 2.0], [3.0, 2.0]]]])
    label = tf.constant([[[0, 0]]])
    # ((0.5^2 + 0) / 2 + (0 + 2^2) / 2) / 2
    np.testing.assert_allclose(label_mix_loss(mixed, real, fake, mask, label), 1.0625)
    # The second pixel is outside.
    outside = tf.constant([[[0, -1]]])
    np.testing.assert_allclose(label_mix_loss(mixed, real, fake, mask, outside), 0.0625)


def test_gradients_reach_all_three():
    mask = label_mix_mask(LABEL, tf.constant([[0.1, 0.9, 0.1]] * 2))
    logits = [tf.random.stateless_normal([2, 2, 2, 4], [1, seed]) for seed in range(3)]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = label_mix_loss(*logits, mask, LABEL)
    mixed, real, fake = (gradient.numpy() for gradient in tape.gradient(loss, logits))
    inside = (LABEL >= 0).numpy()[..., None]
    np.testing.assert_array_equal(mixed != 0, np.broadcast_to(inside, mixed.shape))
    np.testing.assert_array_equal(real, np.where(mask, -mixed, 0))
    np.testing.assert_array_equal(fake, np.where(mask, 0, -mixed))
