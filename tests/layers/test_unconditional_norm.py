import keras
import numpy as np
import pytest

from spade_tf.layers.normalization import BatchNorm, get_normalization
from spade_tf.layers.unconditional_norm import UnconditionalNorm

X = (np.arange(48, dtype="float32") ** 1.5).reshape(2, 2, 3, 4)


def test_affine_batch_norm_is_that_of_keras():
    ours = UnconditionalNorm("batch")
    theirs = keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9)
    ours.build(X.shape)
    theirs.build(X.shape)
    for layer in (ours, theirs):
        layer.gamma.assign([1.0, 2.0, -3.0, 0.5])
        layer.beta.assign([0.0, 1.0, 2.0, -4.0])
    # Rounding of float32 on values up to 10.
    np.testing.assert_allclose(ours(X, training=True), theirs(X, training=True), atol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "local_batch", "instance", "layer"])
def test_starts_as_the_norm_alone(norm):
    expected = get_normalization(norm)(X, training=True)
    for affine in (True, False):
        layer = UnconditionalNorm(norm, affine=affine)
        np.testing.assert_array_equal(layer(X, training=True), expected)
        assert len(layer.trainable_weights) == 2 * affine


def test_local_batch_statistics_are_not_synchronised():
    layer = get_normalization("local_batch")
    assert isinstance(layer, BatchNorm)
    assert not layer.synchronized
    assert get_normalization("batch").synchronized


def test_condition_is_ignored():
    layer = UnconditionalNorm("instance")
    embedding = np.ones([2, 5], "float32")
    np.testing.assert_array_equal(layer(X, semantics=None, embedding=embedding), layer(X))
