import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.spectral_norm import SpectralConv2D, SpectralDense
from spade_tf.layers.spectral_transpose import SpectralConv2DTranspose
from spade_tf.networks.generator import SPADEGenerator


def conv(filters=4, kernel_size=3, channels=5, **kwargs):
    layer = SpectralConv2D(filters, kernel_size, **kwargs)
    layer.build((None, None, None, channels))
    # The start, of gain 0.02, times 50: singular values of order 1.
    layer.kernel.assign(50.0 * layer.kernel.numpy())
    return layer


def image(batch=2, height=6, width=7, channels=5):
    x = np.linspace(-1.0, 1.0, batch * height * width * channels)
    return np.sin(11.0 * x).reshape(batch, height, width, channels).astype("float32")


def matrix(layer):
    """The kernel as (out, in * kh * kw), up to an order of columns that no sigma depends on."""
    return layer.kernel.numpy().astype("float64").reshape(-1, layer.filters).T


def settle(layer, x, calls=100):
    for _ in range(calls):
        layer(x, training=True)


@pytest.mark.parametrize(
    ("layer", "x"),
    [(SpectralConv2D(4, 3), image()), (SpectralDense(4), image()[:, 0, 0])],
    ids=["conv", "dense"],
)
def test_sigma_converges_to_the_largest_singular_value(layer, x):
    layer.build((None, *x.shape[1:]))
    kernel = layer.kernel.numpy()
    largest = np.linalg.svd(matrix(layer), compute_uv=False)[0]
    settle(layer, x)
    # Power iteration in float32, after 100 of them.
    np.testing.assert_allclose(layer.normalized_kernel(), kernel / largest, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(layer.kernel, kernel)
    for vector in (layer.u, layer.v):
        np.testing.assert_allclose(np.linalg.norm(vector), 1.0, rtol=1e-6)


def fresh(make, x_shape):
    random.seed(3)
    layer = make()
    layer.build(x_shape)
    return layer


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    ("make", "x_shape"),
    [
        (lambda dtype: SpectralConv2D(64, 3, dtype=dtype), (None, 8, 8, 48)),
        (lambda dtype: SpectralConv2D(128, 4, dtype=dtype), (None, 8, 8, 64)),
        (lambda dtype: SpectralDense(96, dtype=dtype), (None, 200)),
        (lambda dtype: SpectralConv2DTranspose(32, 3, dtype=dtype), (None, 8, 8, 64)),
    ],
    ids=["conv", "discriminator", "dense", "transpose"],
)
def test_a_fresh_layer_knows_its_singular_value(make, x_shape, dtype):
    layer, again = (fresh(lambda: make(dtype), x_shape) for _ in range(2))
    w = matrix(layer)
    sigma = layer.u.numpy().astype("float64") @ w @ layer.v.numpy().astype("float64")
    largest = np.linalg.svd(w, compute_uv=False)[0]
    # What 12 iterations leave. Never above it but for rounding.
    assert 0.94 * largest < sigma < 1.00001 * largest
    for vector, other in ((layer.u, again.u), (layer.v, again.v)):
        np.testing.assert_array_equal(vector, other)
        np.testing.assert_allclose(np.linalg.norm(vector), 1.0, rtol=1e-6)
    # Inference and the next step of training so agree from the start, to what is left to find.
    inference = layer.normalized_kernel(training=False)
    training = layer.normalized_kernel(training=True)
    ratio = np.linalg.norm(tf.cast(training, "float32")) / np.linalg.norm(
        tf.cast(inference, "float32")
    )
    np.testing.assert_allclose(ratio, 1.0, rtol=0.02)


def test_a_layer_that_is_made_within_a_graph():
    layer = SpectralConv2D(4, 3)
    tf.function(layer, autograph=False)(image())
    assert np.linalg.norm(layer.u) == pytest.approx(1.0, rel=1e-6)
    sigma = layer.u.numpy() @ matrix(layer) @ layer.v.numpy()
    assert sigma > 0.9 * np.linalg.svd(matrix(layer), compute_uv=False)[0]


def test_a_fresh_layer_in_a_functional_model_and_in_a_file(tmp_path):
    random.seed(3)
    inputs = keras.Input((8, 8, 5))
    model = keras.Model(inputs, SpectralConv2D(4, 3, name="conv")(inputs))
    layer = model.get_layer("conv")
    largest = np.linalg.svd(matrix(layer), compute_uv=False)[0]
    sigma = layer.u.numpy() @ matrix(layer) @ layer.v.numpy()
    # Of four singular values the first two are close, which takes longer to tell apart.
    assert 0.9 * largest < sigma
    settle(layer, image())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for before, after in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.distributed
def test_a_fresh_layer_is_the_same_on_all_replicas(two_replicas):
    with two_replicas.scope():
        layer = fresh(lambda: SpectralConv2D(4, 3), (None, 6, 7, 5))
    alone = fresh(lambda: SpectralConv2D(4, 3), (None, 6, 7, 5))
    for shared, own in ((layer.u, alone.u), (layer.v, alone.v)):
        for copy in two_replicas.experimental_local_results(shared.value):
            np.testing.assert_array_equal(copy, own)


def test_a_fresh_generator_is_no_more_saturated_in_inference_than_in_training():
    random.seed(0)
    generator = SPADEGenerator(3, image_size=(64, 64), filters=4)
    inputs = {"label": tf.constant(np.random.default_rng(0).integers(0, 3, (2, 64, 64)))}
    pictures = [generator(inputs, training=training).numpy() for training in (False, True)]
    sizes = [np.abs(picture).mean() for picture in pictures]
    assert max(sizes) < 0.2, sizes


def test_one_iteration_by_hand():
    layer = conv()
    w, u = matrix(layer), layer.u.numpy().astype("float64")
    v = w.T @ u
    v /= np.linalg.norm(v)
    u = w @ v
    u /= np.linalg.norm(u)
    actual = layer.normalized_kernel(training=True)
    # Float32 sums of 45 terms.
    np.testing.assert_allclose(actual, layer.kernel.numpy() / (u @ w @ v), rtol=2e-6)
    np.testing.assert_allclose(layer.u, u, rtol=0, atol=1e-6)
    np.testing.assert_allclose(layer.v, v, rtol=0, atol=1e-6)


def test_inference_repeats_the_last_sigma_of_training():
    layer, x = conv(), image()
    trained = layer(x, training=True)
    state = layer.get_weights()
    np.testing.assert_array_equal(layer(x, training=False), trained)
    np.testing.assert_array_equal(layer(x), trained)
    for before, after in zip(state, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(("strides", "padding"), [(1, "same"), (2, "same"), (2, "valid")])
def test_convolves_as_keras_does(strides, padding, use_bias):
    layer, x = conv(strides=strides, padding=padding, use_bias=use_bias), image()
    plain = keras.layers.Conv2D(4, 3, strides=strides, padding=padding, use_bias=use_bias)
    plain.build(x.shape)
    settle(layer, x, calls=3)
    weights = [layer.normalized_kernel()]
    if use_bias:
        layer.bias.assign([0.1, 0.2, 0.3, 0.4])
        weights.append(layer.bias.numpy())
    plain.set_weights(weights)
    np.testing.assert_allclose(layer(x), plain(x), rtol=0, atol=1e-6)
    assert layer.compute_output_shape(x.shape) == plain.compute_output_shape(x.shape)


def test_gradient_holds_u_and_v():
    """Against central differences of kernel / (u' W v) with u and v held."""
    layer = conv(filters=3, kernel_size=2, channels=2, use_bias=False)
    slope = np.cos(np.arange(24.0)).reshape(2, 2, 2, 3)
    with tf.GradientTape() as tape:
        kernel = layer.normalized_kernel(training=True)
        loss = tf.reduce_sum(kernel * slope.astype("float32"))
    gradient = tape.gradient(loss, layer.kernel.value).numpy()
    u, v = (vector.numpy().astype("float64") for vector in (layer.u, layer.v))
    w = layer.kernel.numpy().astype("float64")

    def loss_at(kernel):
        return (kernel / (u @ kernel.reshape(-1, 3).T @ v) * slope).sum()

    for index in np.ndindex(w.shape):
        nudge = np.zeros(w.shape)
        nudge[index] = 1e-5
        expected = (loss_at(w + nudge) - loss_at(w - nudge)) / 2e-5
        # Float32 sums of 24 terms of order 1.
        np.testing.assert_allclose(gradient[index], expected, rtol=0, atol=1e-5)


def test_gradients_of_gradients_by_the_kernel():
    """Against those that TensorFlow derives of the same quotient."""
    layer = conv(filters=3, kernel_size=2, channels=2, use_bias=False)
    u, v = tf.constant(layer.u), tf.constant(layer.v)

    def derived(kernel):
        return kernel / tf.tensordot(v, tf.linalg.matvec(tf.reshape(kernel, [-1, 3]), u), 1)

    def second(normalize):
        kernel = layer.kernel.value
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                loss = tf.reduce_sum(tf.sin(normalize(kernel)))
            penalty = tf.reduce_sum(inner.gradient(loss, kernel) ** 2)
        return outer.gradient(penalty, kernel)

    ours = second(lambda _: layer.normalized_kernel())
    # Float32 sums of 24 terms of order 1.
    np.testing.assert_allclose(ours, second(derived), rtol=0, atol=2e-5)


def test_state_moves_inside_a_function():
    layer, twin = conv(), conv()
    twin.set_weights(layer.get_weights())
    function = tf.function(lambda x: twin(x, training=True))
    for _ in range(3):
        np.testing.assert_allclose(function(image()), layer(image(), training=True), atol=1e-6)
    np.testing.assert_allclose(twin.u, layer.u, atol=1e-6)


def test_sigma_is_computed_in_float32_under_mixed_precision():
    layer, half = conv(), conv(dtype="mixed_bfloat16")
    half.set_weights(layer.get_weights())
    layer(image(), training=True)
    y = half(image(), training=True)
    assert y.dtype == "bfloat16"
    np.testing.assert_allclose(half.u, layer.u, rtol=0, atol=1e-7)
    np.testing.assert_allclose(half.v, layer.v, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpectralConv2D(0, 3), "filters must be >= 1: received 0"),
        (lambda: SpectralConv2D(1, 3, padding="full"), "received 'full'"),
        (lambda: SpectralConv2D(1, 3).build((None, 4, 4, None)), "known number of channels"),
        (lambda: SpectralDense(1).build((None, None)), "known number of features"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
