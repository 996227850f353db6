"""Convolutions whose gradients are computed by other operations than TensorFlow's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers import convolution
from spade_tf.layers.convolution import NarrowConv2D, convolve

# Height, width, channels, kernel size, filters: few positions and many, few filters and many.
CASES = [
    (5, 7, 3, 3, 2),
    (6, 6, 4, 4, 1),
    (6, 5, 4, 4, 12),
    (9, 8, 6, 1, 12),
    (33, 40, 3, 3, 12),
    (40, 33, 2, 4, 3),
    (36, 36, 2, 5, 9),
]


def _tensors(height, width, channels, size, filters):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2, height, width, channels)).astype("float32")
    kernel = generator.normal(size=(size, size, channels, filters)).astype("float32")
    return tf.constant(x), tf.constant(kernel)


def _gradients(function, x, kernel):
    """The result, its gradients, and those of their squares: what a gradient penalty needs."""
    with tf.GradientTape() as outer:
        outer.watch([x, kernel])
        with tf.GradientTape() as inner:
            inner.watch([x, kernel])
            y = function(x, kernel)
            total = tf.reduce_sum(tf.sin(y))
        first = inner.gradient(total, [x, kernel])
        penalty = sum(tf.reduce_sum(each**2) for each in first)
    return y, first, outer.gradient(penalty, [x, kernel])


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_are_those_of_tensorflow(case, padding):
    x, kernel = _tensors(*case)
    y, first, second = _gradients(lambda x, k: convolve(x, k, 1, padding), x, kernel)
    expected = _gradients(lambda x, k: tf.nn.conv2d(x, k, 1, padding.upper()), x, kernel)
    np.testing.assert_array_equal(y, expected[0])
    for ours, theirs in zip([*first, *second], [*expected[1], *expected[2]], strict=True):
        # Sums in another order: float32 rounding, of the largest value.
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours / scale, theirs / scale, atol=5e-6)


@pytest.mark.parametrize("case", [CASES[2], CASES[4]], ids=str)
def test_a_function_of_unknown_batch_size(case):
    x, kernel = _tensors(*case)

    @tf.function(input_signature=[tf.TensorSpec([None, *x.shape[1:]]), tf.TensorSpec(kernel.shape)])
    def gradients(x, kernel):
        y = convolve(x, kernel, 1, "same")
        return tf.gradients(y**2, [x, kernel])

    for ours, theirs in zip(gradients(x, kernel), _squares(x, kernel), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=5e-6 * np.abs(theirs).max())


def _squares(x, kernel):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = tf.nn.conv2d(x, kernel, 1, "SAME") ** 2
    return tape.gradient(y, [x, kernel])


def _kinds(monkeypatch, kind):
    """Types of the operations of the gradients, on a machine that has another device."""
    devices = [tf.config.LogicalDevice(f"/device:{kind}:0", kind)]
    monkeypatch.setattr(convolution.tf.config, "list_logical_devices", lambda: devices)
    x, kernel = _tensors(*CASES[1])

    def gradients(x, kernel):
        return tf.gradients(convolve(x, kernel, 1, "same"), [x, kernel])

    graph = tf.function(gradients).get_concrete_function(x, kernel).graph
    return {operation.type for operation in graph.get_operations()}


def test_accelerators_keep_the_operations_of_tensorflow(monkeypatch):
    native = {"Conv2DBackpropInput", "Conv2DBackpropFilter"}
    assert native <= _kinds(monkeypatch, "GPU")
    assert native.isdisjoint(_kinds(monkeypatch, "CPU"))


def test_a_narrow_layer_is_that_of_keras():
    x, _ = _tensors(*CASES[0])
    narrow, plain = NarrowConv2D(3, 3, padding="same"), keras.layers.Conv2D(3, 3, padding="same")
    narrow.build(x.shape)
    plain.build(x.shape)
    plain.set_weights([np.ones_like(w) * 0.5 for w in narrow.get_weights()])
    narrow.set_weights(plain.get_weights())
    for training in (False, True):
        np.testing.assert_allclose(narrow(x, training=training), plain(x), rtol=1e-6)
