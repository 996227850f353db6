import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.noise_input import NoiseInput, add_noise


def trained(size=(3, 5), seed=7):
    layer = NoiseInput(size, seed)
    layer.build((None, None, None, 2))
    layer.strength.assign([0.5, -2.0])
    return layer


def test_untrained_it_changes_nothing():
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype("float32")
    np.testing.assert_array_equal(NoiseInput((3, 5), 7)(x), x)


def test_each_channel_takes_its_share_of_the_same_noise():
    noise = np.random.RandomState(7).standard_normal((3, 5)).astype("float32")
    found = trained()(np.ones((2, 3, 5, 2), "float32")).numpy()
    for example in found:
        # One multiplication and one sum of float32.
        np.testing.assert_allclose(example[..., 0], 1 + 0.5 * noise, rtol=0, atol=1e-6)
        np.testing.assert_allclose(example[..., 1], 1 - 2 * noise, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(2, 4), (3, 5), (7, 11)])
@pytest.mark.parametrize("known", [True, False])
def test_other_sizes_repeat_it(size, known):
    layer = trained()
    noise = np.tile(layer.noise[0, :, :, 0], (3, 3))[: size[0], : size[1]]
    spec = tf.TensorSpec([1, *size, 2] if known else [1, None, None, 2])
    found = tf.function(layer, input_signature=[spec])(np.zeros((1, *size, 2), "float32"))
    np.testing.assert_allclose(found[0, ..., 0], 0.5 * noise, rtol=0, atol=1e-6)


def test_a_rectangle_sees_the_noise_of_its_place():
    layer = trained()
    x = np.random.default_rng(0).normal(size=(1, 6, 10, 2)).astype("float32")
    whole = layer(x).numpy()
    part = add_noise(x[:, 2:5, 4:9], layer.strength, layer.noise, tf.constant([2, 4]))
    np.testing.assert_array_equal(part, whole[:, 2:5, 4:9])


def test_strengths_get_gradients_and_seeds_differ():
    layer = trained()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.zeros((2, 3, 5, 2), "float32"))[..., 0])
    # d/ds of the sum of s * noise over two examples.
    expected = [2 * layer.noise.sum(), 0.0]
    np.testing.assert_allclose(tape.gradient(loss, layer.strength), expected, atol=1e-5)
    assert np.abs(layer.noise - NoiseInput((3, 5), 8).noise).max() > 0.1


def test_it_keeps_half_precision_and_its_configuration():
    layer = NoiseInput((3, 5), 7, dtype="mixed_bfloat16")
    assert layer(np.zeros((1, 3, 5, 2), "float32")).dtype == "bfloat16"
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(trained()))
    np.testing.assert_array_equal(again.noise, trained().noise)
