import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.clade import CLADE
from spade_tf.layers.conditional_batch_norm import ConditionalBatchNorm
from spade_tf.layers.semantics import Semantics


def build(layer):
    layer.build((None, None, None, 2))
    layer.gamma.assign([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    layer.beta.assign([[-1.0, 1.0], [-2.0, 2.0], [-4.0, 4.0]])
    return layer


X = np.arange(16, dtype="float32").reshape(2, 2, 2, 2)


def test_by_hand_in_training():
    layer = build(ConditionalBatchNorm(3))
    # Shares 1/2, 1/2, 0 and 0, 1/4, 3/4.
    label = np.array([[[0, 1], [1, 0]], [[2, 2], [1, 2]]], "int32")
    gamma = np.array([[1.5, 15.0], [3.5, 35.0]])[:, None, None]
    normalized = (X - X.mean((0, 1, 2))) / np.sqrt(X.var((0, 1, 2)) + 1e-5)
    actual = layer(X, semantics=Semantics(3, label=tf.constant(label)), training=True)
    # beta = -gamma, gamma / 10 by the tables above. Rounding of float32 on values up to 60.
    beta = gamma * np.array([-1.0, 0.1])
    np.testing.assert_allclose(actual, normalized * (1 + gamma) + beta, atol=2e-5)


def test_of_one_class_it_is_the_vector_of_that_class():
    label = np.full([2, 2, 2], 2, "int32")
    semantics = Semantics(3, label=tf.constant(label))
    actual = build(ConditionalBatchNorm(3, norm="instance"))(X, semantics=semantics)
    expected = build(CLADE(3, norm="instance"))(X, semantics=semantics)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_the_layout_does_not_count():
    layer = build(ConditionalBatchNorm(3, norm="instance"))
    label = np.array([[[0, 1], [1, 2]]] * 2, "int32")
    one = layer(X, semantics=Semantics(3, label=tf.constant(label)))
    other = layer(X, semantics=Semantics(3, label=tf.constant(label[:, ::-1, ::-1])))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_half_precision_counts_large_maps():
    layer = build(ConditionalBatchNorm(3, norm="instance", dtype="mixed_float16"))
    label = tf.zeros([2, 512, 512], tf.int32)
    actual = layer(X, semantics=Semantics(3, label=tf.constant(label), dtype="float16"))
    expected = build(ConditionalBatchNorm(3, norm="instance"))(
        X, semantics=Semantics(3, label=tf.zeros([2, 2, 2], tf.int32))
    )
    # Float16 has eleven bits: values up to 16 are rounded by 2^-8.
    np.testing.assert_allclose(tf.cast(actual, tf.float32), expected, rtol=0, atol=5e-3)


def test_semantics_are_needed():
    with pytest.raises(ValueError, match="needs semantics of 3 channels: received None"):
        build(ConditionalBatchNorm(3))(X)
    with pytest.raises(ValueError, match="semantic_channels must be >= 1"):
        ConditionalBatchNorm(0)
