import numpy as np
import pytest
import tensorflow as tf

from spade_tf.networks.upsampling import METHODS, upsample

X = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")


def test_nearest_repeats_pixels():
    np.testing.assert_array_equal(upsample(tf.constant(X)), X.repeat(2, 1).repeat(2, 2))


def test_bilinear_by_hand():
    x = tf.constant([0.0, 4.0, 16.0])[None, None, :, None]
    found = upsample(x, "bilinear")
    np.testing.assert_allclose(found[0, 0, :, 0], [0, 1, 3, 7, 13, 16], rtol=1e-6)
    np.testing.assert_array_equal(found[0, 1], found[0, 0])


def test_bilinear_is_nearest_blurred():
    repeated = np.pad(X.repeat(2, 1).repeat(2, 2), [[0, 0], [1, 1], [1, 1], [0, 0]], "edge")
    blurred = (repeated[:, :-2] + 2 * repeated[:, 1:-1] + repeated[:, 2:]) / 4
    blurred = (blurred[:, :, :-2] + 2 * blurred[:, :, 1:-1] + blurred[:, :, 2:]) / 4
    # Float32 rounding of numbers around one.
    np.testing.assert_allclose(upsample(tf.constant(X), "bilinear"), blurred, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_unknown_sizes(method):
    spec = tf.TensorSpec([None, None, None, 5])
    function = tf.function(lambda x: upsample(x, method), input_signature=[spec], autograph=False)
    np.testing.assert_array_equal(function(X), upsample(tf.constant(X), method))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("method", METHODS)
def test_gradients(method, dtype, jit_compile):
    """Each pixel makes four: the gradient of the sum is four, whatever lies at the border."""
    found = gradient(method, tf.cast(X, dtype), tf.cast(1.0, dtype), jit_compile)
    # The weights are 9, 3, 3 and 1 of 16, which half precision holds exactly.
    np.testing.assert_allclose(tf.cast(found, tf.float32), np.full(X.shape, 4.0), rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_gradient_of_nearest_is_the_sum_of_the_copies(jit_compile):
    batch, height, width, channels = X.shape
    upstream = np.random.default_rng(0).normal(size=(batch, 2 * height, 2 * width, channels))
    found = gradient("nearest", tf.constant(X), tf.constant(upstream, "float32"), jit_compile)
    expected = upstream.reshape(batch, height, 2, width, 2, channels).sum((2, 4))
    # Float32 rounding of sums of four numbers around one.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def gradient(method, x, weights, jit_compile):
    """The gradient of the weighted sum of what `x` is upsampled to."""

    def compute(x, weights):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = upsample(x, method)
            total = tf.reduce_sum(y * weights)
        assert y.dtype == x.dtype
        return tape.gradient(total, x)

    found = tf.function(compute, jit_compile=jit_compile, autograph=False)(x, weights)
    assert found.dtype == x.dtype
    return found
