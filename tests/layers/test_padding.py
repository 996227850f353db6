import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.padding import PADDINGS, pad, padded_for

# As NumPy calls them.
MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge"}


@pytest.mark.parametrize("pixels", [0, 1, 2])
@pytest.mark.parametrize("padding", PADDINGS)
def test_is_numpy_s(padding, pixels):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    sides = [[0, 0], [pixels] * 2, [pixels] * 2, [0, 0]]
    np.testing.assert_array_equal(pad(x, pixels, padding), np.pad(x, sides, MODES[padding]))
    ids = tf.constant(np.arange(24).reshape(2, 3, 4))
    expected = np.pad(ids, [[0, 0], [0, 0], [pixels] * 2], MODES[padding])
    np.testing.assert_array_equal(pad(ids, pixels, padding, axes=[2]), expected)


def test_a_border_of_one_pixel_is_repeated():
    x = tf.constant([[[[7.0]]]])
    np.testing.assert_array_equal(pad(x, 2, "replicate"), np.full((1, 5, 5, 1), 7.0))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("padding", PADDINGS)
def test_gradients_count_how_often_a_pixel_is_seen(padding, dtype):
    x = tf.cast(tf.zeros([1, 3, 3, 1]), dtype)
    # With one row and column outside: what is copied there counts once more, and in corners twice.
    seen = {"zeros": [1, 1, 1], "reflect": [1, 3, 1], "replicate": [2, 1, 2]}[padding]
    for jit_compile in (False, True):

        def gradient(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                total = tf.reduce_sum(padded_for(x, 3, padding))
            return tape.gradient(total, x)

        found = tf.function(gradient, jit_compile=jit_compile, autograph=False)(x)
        assert found.dtype == x.dtype
        np.testing.assert_array_equal(tf.cast(found, tf.float32)[0, :, :, 0], np.outer(seen, seen))
