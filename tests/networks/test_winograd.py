"""Winograd's filtering against the convolution that it stands for."""

import numpy as np
import pytest
import tensorflow as tf

from spade_tf.networks.fused.winograd import convolve, transform_kernel


@pytest.mark.parametrize("shape", [(1, 2, 2, 3), (2, 6, 10, 5), (3, 16, 4, 1)])
def test_is_the_convolution(shape):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype("float32")
    kernel = rng.standard_normal((3, 3, shape[-1], 7)).astype("float32")
    bias = rng.standard_normal(7).astype("float32")
    expected = tf.nn.conv2d(x, kernel, 1, "SAME") + bias
    transformed = transform_kernel(kernel)
    assert transformed.shape == (16, shape[-1], 7)
    found = convolve(tf.constant(x), tf.constant(transformed, tf.float32), tf.constant(bias))
    # Rounding of float32, through sums of up to 45 products of numbers around one.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("padding", "mode"), [("reflect", "reflect"), ("replicate", "edge")])
def test_other_paddings(padding, mode):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 6, 10, 5)).astype("float32")
    kernel = rng.standard_normal((3, 3, 5, 7)).astype("float32")
    padded = np.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode)
    expected = tf.nn.conv2d(padded, kernel, 1, "VALID")
    transformed = tf.constant(transform_kernel(kernel), tf.float32)
    found = convolve(tf.constant(x), transformed, tf.zeros(7), padding)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)  # As above.


def test_of_integers_nothing_is_rounded():
    """Halves and quarters of small integers are exact in float32."""
    rng = np.random.default_rng(1)
    x = rng.integers(-8, 8, (1, 8, 6, 4)).astype("float32")
    kernel = rng.integers(-8, 8, (3, 3, 4, 2)).astype("float32")
    transformed = tf.constant(transform_kernel(kernel), tf.float32)
    found = convolve(tf.constant(x), transformed, tf.zeros(2))
    np.testing.assert_array_equal(found, tf.nn.conv2d(x, kernel, 1, "SAME"))


def test_one_graph_for_all_sizes():
    rng = np.random.default_rng(2)
    kernel = rng.standard_normal((3, 3, 2, 2)).astype("float32")
    transformed = tf.constant(transform_kernel(kernel), tf.float32)
    spec = tf.TensorSpec([None, None, None, 2], tf.float32)
    any_size = tf.function(lambda x: convolve(x, transformed, tf.zeros(2)), input_signature=[spec])
    for height, width in ((4, 8), (8, 4), (2, 2)):
        x = rng.standard_normal((2, height, width, 2)).astype("float32")
        # As above.
        expected = tf.nn.conv2d(x, kernel, 1, "SAME")
        np.testing.assert_allclose(any_size(tf.constant(x)), expected, rtol=0, atol=2e-5)
