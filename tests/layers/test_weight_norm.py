import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.weight_norm import WeightNormConv2D

X = np.sin(np.arange(2 * 5 * 6 * 3, dtype="float32")).reshape(2, 5, 6, 3)


def test_by_hand():
    layer = WeightNormConv2D(1, 1, use_bias=False)
    layer.build((None, None, None, 3))
    layer.v.assign(np.array([3.0, 0.0, 4.0]).reshape(1, 1, 3, 1))
    layer.g.assign([10.0])
    np.testing.assert_allclose(layer(X)[..., 0], X @ [6.0, 0.0, 8.0], atol=1e-5)


def test_against_numpy():
    layer = WeightNormConv2D(4, 3, padding="valid")
    layer.build((None, None, None, 3))
    v = np.cos(np.arange(3 * 3 * 3 * 4, dtype="float32")).reshape(3, 3, 3, 4)
    g, bias = np.array([1.0, -2.0, 0.5, 3.0]), np.array([0.0, 1.0, 2.0, 3.0])
    layer.v.assign(v)
    layer.g.assign(g)
    layer.bias.assign(bias)
    kernel = g * v / np.sqrt((v**2).sum((0, 1, 2)))
    patches = np.lib.stride_tricks.sliding_window_view(X, (3, 3), (1, 2))
    expected = np.einsum("bhwcij,ijcf->bhwf", patches, kernel) + bias
    # 27 products of float32, each below 1.
    np.testing.assert_allclose(layer(X), expected, atol=1e-5)


def test_starts_as_a_convolution_by_v():
    layer = WeightNormConv2D(4, 3, strides=2)
    actual = layer(X)
    expected = tf.nn.conv2d(X, layer.v.value, 2, "SAME")
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert actual.shape == layer.compute_output_shape(X.shape)


def test_the_length_of_v_does_not_count():
    layer = WeightNormConv2D(4, 3)
    before = layer(X)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(layer(X)))
    gradient = tape.gradient(loss, layer.v.value)
    # The gradient is orthogonal to v in each output channel (section 2.1 of the paper).
    along = tf.reduce_sum(gradient * layer.v, [0, 1, 2])
    np.testing.assert_allclose(along, np.zeros(4), atol=1e-4)
    layer.v.assign(7.0 * layer.v)
    np.testing.assert_allclose(layer(X), before, atol=1e-6)


def test_a_kernel_of_zeros_is_finite():
    layer = WeightNormConv2D(4, 3)
    layer.build((None, None, None, 3))
    layer.v.assign(tf.zeros_like(layer.v))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(X))
    assert np.isfinite(tape.gradient(loss, layer.v.value)).all()


def test_bad_arguments():
    with pytest.raises(ValueError, match="filters must be >= 1: received 0"):
        WeightNormConv2D(0, 3)
    with pytest.raises(ValueError, match="padding must be 'same' or 'valid': received 'SAME'"):
        WeightNormConv2D(1, 3, padding="SAME")
    with pytest.raises(ValueError, match="known number of channels"):
        WeightNormConv2D(1, 3).build((None, None, None, None))
