import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.semantics import Semantics
from spade_tf.networks.discriminator import (
    MultiscaleDiscriminator,
    NLayerDiscriminator,
    downsample,
)


def ramp(*shape):
    x = np.linspace(-1.0, 1.0, int(np.prod(shape)))
    return np.sin(31.0 * x).reshape(shape).astype("float32")


def labels(height=32, width=32, count=3):
    ids = np.arange(2 * height * width).reshape(2, height, width)
    return (ids // 7 % count).astype("int32")


def pooled_by_hand(x):
    batch, height, width, channels = x.shape
    pooled = np.zeros((batch, (height + 1) // 2, (width + 1) // 2, channels))
    for i, j in np.ndindex(*pooled.shape[1:3]):
        # Rows 2i - 1 to 2i + 1, as far as there are any.
        window = x[:, max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2]
        pooled[:, i, j] = window.mean((1, 2))
    return pooled


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (6, 5), (1, 4), (2, 1)])
def test_downsample_leaves_the_padding_out(size):
    x = ramp(2, *size, 3)
    # Sums of nine in float32.
    np.testing.assert_allclose(downsample(x), pooled_by_hand(x), rtol=0, atol=1e-6)


def test_downsample_of_unknown_sizes():
    function = tf.function(downsample, input_signature=[tf.TensorSpec([None, None, None, 3])])
    x = ramp(2, 7, 10, 3)
    np.testing.assert_allclose(function(x), pooled_by_hand(x), rtol=0, atol=1e-6)


def test_downsample_of_ones_is_ones_in_half_precision_too():
    ones = tf.ones([1, 5, 6, 2], tf.bfloat16)
    np.testing.assert_array_equal(tf.cast(downsample(ones), tf.float32), np.ones((1, 3, 3, 2)))


def test_sizes_of_the_official_release():
    # Padding 2 on either side of a 4x4 kernel: n / 2 + 1, and n + 1 for stride 1.
    features = NLayerDiscriminator(4, filters=2)(tf.zeros([1, 256, 256, 4]))
    assert [feature.shape[1:3].as_list() for feature in features] == [
        [size, size] for size in (129, 65, 33, 34, 35)
    ]
    assert [feature.shape[3] for feature in features] == [2, 4, 8, 16, 1]


def test_widths_double_up_to_512():
    network = NLayerDiscriminator(4, filters=128, num_layers=5)
    assert [conv.filters for conv in network.convs] == [128, 256, 512, 512, 512]


def test_padding_is_symmetric():
    """A mirrored picture, under mirrored kernels, gives mirrored features."""
    # Of even sizes only: on odd ones a stride of 2 leaves the last padding out, as it does in
    # the official release.
    network = NLayerDiscriminator(4, filters=2, num_layers=2)
    x = ramp(1, 32, 32, 4)
    plain = network(x)
    for weight in network.trainable_weights:
        if len(weight.shape) == 4:
            weight.assign(weight.numpy()[::-1, ::-1])
    for conv in network.convs[1:]:
        # Sigma depends on the order of the taps through v.
        v = conv.v.numpy().reshape(4, 4, -1)
        conv.v.assign(v[::-1, ::-1].reshape(-1))
    mirrored = network(x[:, ::-1, ::-1])
    for a, b in zip(plain, mirrored, strict=True):
        a, b = a.numpy(), b.numpy()[:, ::-1, ::-1]
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(a).max())


def test_scales_are_the_same_network_on_smaller_pictures():
    network = MultiscaleDiscriminator(3, filters=2, num_layers=2, num_scales=3)
    label, image = labels(), ramp(2, 32, 32, 3)
    outputs = network({"label": label}, image=image)
    x = np.concatenate([np.eye(3)[label], image], -1)
    assert len(outputs) == 3
    for scale, features in zip(network.discriminators, outputs, strict=True):
        for a, b in zip(scale(tf.constant(x, tf.float32)), features, strict=True):
            # Instance normalisation makes rounding of 1e-7 about this.
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)
        x = pooled_by_hand(x)


def test_inputs_may_be_labels_a_map_or_semantics():
    network = MultiscaleDiscriminator(3, filters=2, num_layers=2, num_scales=1)
    label, image = labels(), ramp(2, 32, 32, 3)
    expected = network({"label": label}, image=image)[0]
    for inputs in (np.eye(3, dtype="float32")[label], Semantics(3, label=tf.constant(label))):
        for a, b in zip(network(inputs=inputs, image=image)[0], expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_semantics_precision_does_not_touch_the_picture():
    network = MultiscaleDiscriminator(3, filters=2, num_layers=2, num_scales=1)
    label, image = tf.constant(labels()), ramp(2, 32, 32, 3)
    half, full = (
        network(inputs=Semantics(3, label=label, dtype=dtype), image=image)[0]
        for dtype in ("bfloat16", "float32")
    )
    for a, b in zip(half, full, strict=True):
        np.testing.assert_array_equal(a, b)


def test_examples_do_not_depend_on_each_other_in_training():
    """Instance normalisation alone: fake and real may share a batch."""
    network = MultiscaleDiscriminator(3, filters=2, num_layers=3)
    label, image = labels(), ramp(2, 32, 32, 3)
    state = network.get_weights()
    together = network({"label": label}, image=image, training=True)
    network.set_weights(state)
    alone = network({"label": label[1:]}, image=image[1:], training=True)
    for scale, scale_alone in zip(together, alone, strict=True):
        for a, b in zip(scale, scale_alone, strict=True):
            np.testing.assert_allclose(a[1:], b, rtol=0, atol=2e-5)


def test_parameters_of_the_official_release():
    network = MultiscaleDiscriminator(151)
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == 5_836_930


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NLayerDiscriminator(3, num_layers=0), "num_layers must be >= 1: received 0"),
        (lambda: MultiscaleDiscriminator(3, num_scales=0), "num_scales must be >= 1: received 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("norm", ["instance", "batch", "local_batch", "none"])
@pytest.mark.parametrize("spectral_norm", [True, False])
def test_norms_of_the_middle_layers(norm, spectral_norm):
    config = {"filters": 2, "num_layers": 3, "norm": norm, "spectral_norm": spectral_norm}
    discriminator = MultiscaleDiscriminator(3, **config)
    clone = MultiscaleDiscriminator.from_config(discriminator.get_config())
    clone.set_weights(discriminator.get_weights())
    names = {"/".join(weight.path.split("/")[-2:]) for weight in discriminator.trainable_weights}
    # A bias, or a norm that would take it away; batch norms have a scale and shift.
    assert ("conv_1/bias" in names) == (norm == "none")
    assert ("norm_1/gamma" in names) == ("batch" in norm)
    x, image = {"label": labels()}, ramp(2, 32, 32, 3)
    with tf.GradientTape() as tape:
        features = discriminator(x, image, training=True)
        loss = tf.add_n([tf.reduce_sum(tf.sin(scale[-1])) for scale in features])
    weights = discriminator.trainable_weights
    for weight, gradient in zip(
        weights, tape.gradient(loss, [weight.value for weight in weights]), strict=True
    ):
        assert np.abs(gradient).max() > 0, weight.path
    clone.set_weights(discriminator.get_weights())
    for ours, theirs in zip(discriminator(x, image), clone(x, image), strict=True):
        np.testing.assert_array_equal(ours[-1], theirs[-1])


def test_a_norm_that_there_is_none_of():
    with pytest.raises(ValueError, match=r"norm must be one of instance, batch, .*: .* 'layer'"):
        NLayerDiscriminator(4, norm="layer")
