import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.modulation import SpatialModulation
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spade import SPADE


def label_map(height=8, width=12):
    ids = np.arange(2 * height * width).reshape(2, height, width)
    return (ids // 5 % 3).astype("int32")


def activations(height=4, width=6, channels=5):
    x = np.linspace(-1.0, 1.0, 2 * height * width * channels)
    return np.sin(23.0 * x).reshape(2, height, width, channels).astype("float32")


def lively(layer):
    """The start, of gain 0.02 and without bias, hides errors: gamma is next to nothing."""
    for weight in layer.trainable_weights:
        start = weight.numpy()
        weight.assign(50.0 * start if start.ndim > 1 else np.linspace(-0.3, 0.5, start.size))
    return layer


def convolve(x, conv):
    """A convolution with zero padding, tap by tap, in float64."""
    kernel, bias = (weight.numpy().astype("float64") for weight in (conv.kernel, conv.bias))
    size, (height, width) = kernel.shape[0], x.shape[1:3]
    margin = size // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    taps = [
        padded[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(size)
        for j in range(size)
    ]
    return sum(taps) + bias


def expected_modulation(layer, label):
    one_hot = np.eye(3)[label]
    hidden = np.maximum(convolve(one_hot, layer.shared), 0.0)
    return convolve(hidden, layer.gamma), convolve(hidden, layer.beta)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_modulation(kernel_size):
    layer = SpatialModulation(5, 3, hidden_filters=7, kernel_size=kernel_size)
    layer.build()
    lively(layer)
    label = label_map()
    gamma, beta = layer(semantics=Semantics(3, label=tf.constant(label)))
    for actual, expected in zip((gamma, beta), expected_modulation(layer, label), strict=True):
        # Float32 sums of up to 175 terms of order 1.
        np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("norm", "axes"), [("batch", (0, 1, 2)), ("instance", (1, 2))])
def test_spade_is_the_paper_s_equation(norm, axes, training):
    layer = SPADE(3, hidden_filters=7, norm=norm)
    x, label = activations(), label_map()
    layer.build(x.shape)
    lively(layer)
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    if norm == "batch" and not training:
        mean, variance = 0.0, 1.0
    gamma, beta = expected_modulation(layer.modulation, label[:, ::2, ::2])
    expected = (x - mean) / np.sqrt(variance + 1e-5) * (1.0 + gamma) + beta
    actual = layer(x, semantics=Semantics(3, label=tf.constant(label)), training=training)
    # As above, times a normalised x of up to 2.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-5)


def test_labels_and_their_one_hot_map_give_the_same():
    layer, x, label = SPADE(3, 7, form="dense"), activations(), tf.constant(label_map())
    from_label = layer(x, semantics=Semantics(3, label=label))
    from_dense = layer(x, semantics=Semantics(3, dense=tf.one_hot(label, 3)))
    np.testing.assert_array_equal(from_label, from_dense)


def test_an_edge_channel_conditions_too():
    layer, x, label = SPADE(4, hidden_filters=7), activations(), tf.constant(label_map())
    layer.build(x.shape)
    lively(layer)
    none, some = (Semantics(3, label=label, edges=edge & (label > 1)) for edge in (False, True))
    assert np.abs(layer(x, semantics=none) - layer(x, semantics=some)).max() > 1e-2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SPADE(3, kernel_size=2).build((None, 4, 4, 2)), "must be odd: received 2"),
        (lambda: SPADE(3, form="sparse"), "form must be one of .* received 'sparse'"),
        (lambda: SPADE(3, norm="bach"), "received 'bach'"),
        (lambda: SPADE(3).build((None, 4, 4, None)), "known number of channels"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_symbolic_semantics_of_other_channels_fail_when_the_model_is_made():
    x, semantics = keras.Input((8, 8, 4)), keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match=r"must have 5 channels .* received 3"):
        SPADE(5)(x, semantics=semantics)
