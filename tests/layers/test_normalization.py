import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    get_normalization,
)

# Float32 moments summed in two orders, of values of order 1.
TOLERANCE = {"rtol": 0, "atol": 2e-6}


def activations(*shape, seed=0):
    return np.random.default_rng(seed).normal(0.7, 1.3, shape).astype("float32")


def normalized(x, axes, epsilon=1e-5):
    x = x.astype("float64")
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def test_batch_norm_normalises_by_the_batch_in_training():
    x = activations(3, 4, 5, 6)
    y = BatchNorm()(x, training=True)
    np.testing.assert_allclose(y, normalized(x, (0, 1, 2)), **TOLERANCE)


def test_batch_norm_keeps_running_averages_of_the_unbiased_variance():
    layer = BatchNorm(momentum=0.8)
    mean, variance = np.zeros(6), np.ones(6)
    for seed in range(2):
        x = activations(3, 2, 2, 6, seed=seed)
        layer(x, training=True)
        mean = 0.8 * mean + 0.2 * x.mean((0, 1, 2), dtype="float64")
        variance = 0.8 * variance + 0.2 * x.astype("float64").var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(layer.moving_mean, mean, **TOLERANCE)
    np.testing.assert_allclose(layer.moving_variance, variance, **TOLERANCE)
    assert layer.num_batches.numpy() == 2


def test_batch_norm_uses_running_averages_at_inference():
    layer = BatchNorm(epsilon=1e-3)
    x = activations(3, 4, 5, 6)
    np.testing.assert_allclose(layer(x), x / np.sqrt(1.0 + 1e-3), **TOLERANCE)
    layer.moving_mean.assign(np.arange(6.0))
    layer.moving_variance.assign(np.arange(6.0) ** 2)
    expected = (x - np.arange(6.0)) / np.sqrt(np.arange(6.0) ** 2 + 1e-3)
    # The first channel, of variance 0, is divided by 0.03.
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=2e-6)


def test_batch_norm_of_one_pixel_is_finite():
    layer = BatchNorm()
    np.testing.assert_array_equal(
        layer(activations(1, 1, 1, 4), training=True), np.zeros([1] * 3 + [4])
    )
    np.testing.assert_allclose(layer.moving_variance, np.full(4, 0.9), **TOLERANCE)


def test_batch_norm_takes_statistics_in_float32():
    # 64 + 1/4 or so: bfloat16 has no digits left for the deviations' squares.
    x = tf.cast(64.0 + activations(3, 4, 5, 6), tf.bfloat16)
    layer = BatchNorm(momentum=0.0, dtype="mixed_bfloat16")
    layer(x, training=True)
    exact = tf.cast(x, tf.float64).numpy()
    np.testing.assert_allclose(layer.moving_mean, exact.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, exact.var((0, 1, 2), ddof=1), rtol=1e-4)


def test_batch_norm_gradient_flows_through_the_statistics():
    """Against central differences of the numpy formula."""
    x, slope = activations(2, 2, 2, 3), activations(2, 2, 2, 3, seed=1)
    source = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(source)
        loss = tf.reduce_sum(BatchNorm()(source, training=True) * slope)
    gradient = tape.gradient(loss, source).numpy()
    step = 1e-4
    for index in [(0, 0, 0, 0), (1, 0, 1, 2)]:
        nudge = np.zeros(x.shape)
        nudge[index] = step
        losses = [(normalized(x + s * nudge, (0, 1, 2)) * slope).sum() for s in (1, -1)]
        expected = (losses[0] - losses[1]) / (2 * step)
        # Float32 gradients of order 1.
        np.testing.assert_allclose(gradient[index], expected, atol=1e-5)


def test_instance_norm():
    x = activations(3, 4, 5, 6)
    np.testing.assert_allclose(InstanceNorm()(x), normalized(x, (1, 2)), **TOLERANCE)
    keras_layer = keras.layers.GroupNormalization(-1, epsilon=1e-5, center=False, scale=False)
    np.testing.assert_allclose(InstanceNorm()(x), keras_layer(x), **TOLERANCE)


def test_layer_norm():
    x = activations(3, 4, 5, 6)
    np.testing.assert_allclose(LayerNorm()(x), normalized(x, (1, 2, 3)), **TOLERANCE)
    keras_layer = keras.layers.GroupNormalization(1, epsilon=1e-5, center=False, scale=False)
    np.testing.assert_allclose(LayerNorm()(x), keras_layer(x), **TOLERANCE)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_norm(groups):
    # Channels of unlike means: a group's variance is more than the mean of its channels'.
    x = activations(3, 4, 5, 6) + np.arange(6, dtype="float32")
    expected = normalized(x.reshape(3, 4, 5, groups, 6 // groups), (1, 2, 4)).reshape(x.shape)
    np.testing.assert_allclose(GroupNorm(groups)(x), expected, **TOLERANCE)
    keras_layer = keras.layers.GroupNormalization(groups, epsilon=1e-5, center=False, scale=False)
    np.testing.assert_allclose(GroupNorm(groups)(x), keras_layer(x), **TOLERANCE)


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (32, 32), (16, 16), (48, 16), (7, 1)])
def test_groups_by_default(channels, groups):
    x = activations(2, 3, 4, channels)
    np.testing.assert_array_equal(GroupNorm()(x), GroupNorm(groups)(x))


@pytest.mark.parametrize("layer", [InstanceNorm(), LayerNorm(), GroupNorm(2), BatchNorm()])
def test_a_constant_becomes_zero(layer):
    y = layer(np.full((2, 4, 4, 4), 7.0, "float32"), training=True)
    np.testing.assert_array_equal(y, np.zeros((2, 4, 4, 4)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchNorm(momentum=1.5), r"momentum must be in \[0, 1\]: received 1.5"),
        (lambda: InstanceNorm(epsilon=0), "epsilon must be > 0: received 0"),
        (lambda: GroupNorm(groups=0), "groups must be >= 1: received 0"),
        (lambda: GroupNorm(4).build((None, 2, 2, 6)), "groups=4"),
        (lambda: BatchNorm().build((None, 2, 2, None)), "known number of channels"),
        (lambda: get_normalization("btach"), "received 'btach'"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_get_normalization():
    layer = InstanceNorm()
    assert get_normalization(layer) is layer
    assert type(get_normalization("batch", momentum=0.5)) is BatchNorm
    assert type(get_normalization("group")) is GroupNorm


@pytest.mark.distributed
@pytest.mark.parametrize("synchronized", [True, False])
def test_two_replicas_and_the_whole_batch(two_replicas, synchronized):
    x = activations(4, 3, 3, 5)
    with two_replicas.scope():
        layer = BatchNorm(synchronized=synchronized)
        layer.build((None, None, None, 5))
    batches = two_replicas.experimental_distribute_values_from_function(
        lambda context: tf.constant(x[2 * context.replica_id_in_sync_group :][:2])
    )
    outputs = tf.function(lambda x: two_replicas.run(layer, args=(x,), kwargs={"training": True}))
    y = np.concatenate(two_replicas.experimental_local_results(outputs(batches)))
    if synchronized:
        expected = normalized(x, (0, 1, 2))
        variance = x.var((0, 1, 2), ddof=1)
    else:
        expected = np.concatenate([normalized(half, (0, 1, 2)) for half in (x[:2], x[2:])])
        variance = np.mean([half.var((0, 1, 2), ddof=1) for half in (x[:2], x[2:])], axis=0)
    np.testing.assert_allclose(y, expected, **TOLERANCE)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * x.mean((0, 1, 2)), **TOLERANCE)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, **TOLERANCE)
    assert layer.num_batches.numpy() == 1
