import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.clade import CLADE
from spade_tf.layers.semantics import Semantics

LABEL = np.array([[[0, 1, 1], [2, 2, 0]]], "int32")
EDGES = np.array([[[True, False, True], [False, False, False]]])
X = np.arange(12, dtype="float32").reshape(1, 2, 3, 2)


def dense(label=LABEL, edges=EDGES):
    return np.concatenate([np.eye(3, dtype="float32")[label], edges[..., None]], -1)


@pytest.fixture
def layer():
    layer = CLADE(4, norm="instance")
    layer.build((None, None, None, 2))
    layer.gamma.assign([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [0.5, 0.25]])
    layer.beta.assign([[-1.0, 1.0], [-2.0, 2.0], [-3.0, 3.0], [0.125, 0.0]])
    return layer


def test_by_hand(layer):
    normalized = (X - X.mean((1, 2))) / np.sqrt(X.var((1, 2)) + 1e-5)
    gamma = np.array(
        [[[1.5, 10.25], [2.0, 20.0], [2.5, 20.25]], [[3.0, 30.0], [3.0, 30.0], [1.0, 10.0]]]
    )
    beta = np.array(
        [[[-0.875, 1.0], [-2.0, 2.0], [-1.875, 2.0]], [[-3.0, 3.0], [-3.0, 3.0], [-1.0, 1.0]]]
    )
    actual = layer(X, semantics=Semantics(3, label=tf.constant(LABEL), edges=tf.constant(EDGES)))
    # Rounding of float32 on values up to 50.
    np.testing.assert_allclose(actual[0], (normalized * (1 + gamma) + beta)[0], atol=2e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_look_up_equals_product_with_one_hot_map(dtype):
    layer = CLADE(4, norm="instance", dtype=dtype)
    layer.build((None, None, None, 2))
    label = tf.random.uniform([2, 8, 8], 0, 3, tf.int32, seed=1).numpy()
    edges = tf.random.uniform([2, 8, 8], seed=2).numpy() < 0.3
    x = tf.random.normal([2, 4, 4, 2], seed=3)
    compute_dtype = layer.compute_dtype
    ids = Semantics(3, label=tf.constant(label), edges=tf.constant(edges), dtype=compute_dtype)
    one_hot = Semantics(dense=dense(label, edges), dtype=compute_dtype)
    # A sum with zeros is exact.
    np.testing.assert_array_equal(layer(x, semantics=ids), layer(x, semantics=one_hot))


def test_gradients_of_both_forms_agree_and_are_dense(layer):
    def gradients(semantics):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(layer(X, semantics=semantics)))
        return tape.gradient(loss, [weight.value for weight in layer.trainable_weights])

    looked_up = gradients(Semantics(3, label=tf.constant(LABEL), edges=tf.constant(EDGES)))
    multiplied = gradients(Semantics(dense=dense()))
    for a, b in zip(looked_up, multiplied, strict=True):
        assert isinstance(a, tf.Tensor)
        # Up to six pixels are summed in another order.
        np.testing.assert_allclose(a, b, atol=1e-5)
        assert (np.abs(a).max(1) > 0).all()


def test_other_channels_are_refused(layer):
    with pytest.raises(ValueError, match="CLADE needs semantics of 4 channels: received 3"):
        layer(X, semantics=Semantics(3, label=tf.constant(LABEL)))
    with pytest.raises(ValueError, match="received None"):
        layer(X)
    with pytest.raises(ValueError, match="semantic_channels must be >= 1: received 0"):
        CLADE(0)
