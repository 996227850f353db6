"""Discriminators on projected features of a frozen network."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from pipelines.landscapes.renderer import render
from spade_tf.convert.backbones import load_backbone
from spade_tf.convert.errors import WeightsError
from spade_tf.networks.backbones import BACKBONES, make_backbone, normalized_features
from spade_tf.networks.projected_discriminator import ProjectedDiscriminator


def picture(height=64, width=96):
    return tf.random.stateless_uniform([2, height, width, 3], [1, 2], -1.0, 1.0)


def label(height=64, width=96):
    return tf.random.stateless_uniform([2, height, width], [3, 4], 0, 5, tf.int32)


@pytest.fixture(scope="module")
def network():
    return ProjectedDiscriminator(5, filters=6)


@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_every_scale_ends_in_logits_at_the_coarsest_stride(backbone):
    network = ProjectedDiscriminator(5, use_instance_edges=True, backbone=backbone, filters=4)
    # 70 is no multiple of a stride. What is left over makes one more position, or none where VGG16
    # drops it.
    outputs = network({"label": label(70, 96)}, picture(70, 96))
    strides = [4, 8, 16, 32][: len(BACKBONES[backbone])]
    assert network.strides == tuple(strides)
    end = strides[-1]
    for scale in outputs:
        batch, height, width, channels = scale[-1].shape
        assert (batch, width, channels) == (2, 96 // end, 1)
        assert height == -(-70 // end) or (backbone == "vgg16" and height == 70 // end)
    assert len(outputs) == len(strides)


def test_the_mixing_is_the_formula(network):
    """Kernels that leave each of the first channels as it is, so that only sums are left."""
    features = [
        feature / np.sqrt(np.mean(np.square(feature), -1, keepdims=True) + 1e-6)
        for feature in network.features(picture())
    ]
    kernels = [conv.get_weights() for conv in (*network.across_channels, *network.across_scales)]
    try:
        for across_channels, across_scales in zip(
            network.across_channels, network.across_scales, strict=True
        ):
            kernel = np.zeros(across_channels.kernel.shape, np.float32)
            kernel[0, 0, :6, :6] = np.eye(6)
            across_channels.set_weights([kernel])
            kernel = np.zeros(across_scales.kernel.shape, np.float32)
            kernel[1, 1] = 2 * np.eye(6)
            across_scales.set_weights([kernel])
        mixed = network.projections(picture())
    finally:
        for conv, kernel in zip(
            (*network.across_channels, *network.across_scales), kernels, strict=True
        ):
            conv.set_weights(kernel)
    expected = None
    for made, feature in zip(reversed(mixed), reversed(features), strict=True):
        plain = feature[..., :6]
        if expected is not None:
            plain = (plain + tf.image.resize(expected, plain.shape[1:3], "bilinear")) / np.sqrt(2)
        expected = 2 * plain
        # Sums of six in float32.
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_discriminators_see_numbers_of_order_one(backbone):
    """With the trained weights where they are installed; features as they are are of 2 to 8."""
    network = ProjectedDiscriminator(11, backbone=backbone)
    with contextlib.suppress(WeightsError):
        load_backbone(network)
    drawn = np.stack([render(0, index, 64, 64).image for index in range(2)])
    image = tf.constant(drawn / 127.5 - 1, tf.float32)
    for scale in network.projections(image):
        # Random kernels of 64 channels keep the variance but for some tens of percent; zeros
        # beyond the border and bilinear upsampling make it smaller.
        assert 0.5 < np.sqrt(np.mean(np.square(scale))) < 1.5


def test_an_empty_position_has_a_finite_gradient():
    """ReLUs of VGG may all be zero somewhere."""
    network = make_backbone("vgg16", ["relu3_1"])
    network.set_weights([np.zeros(weight.shape, "float32") for weight in network.weights])
    image = picture(32, 32)
    with tf.GradientTape() as tape:
        tape.watch(image)
        (features,) = normalized_features(network, image)
    np.testing.assert_array_equal(features, 0)
    assert np.isfinite(tape.gradient(features, image)).all()


def test_only_the_discriminators_are_trained(network):
    trained = {variable.path for variable in network.trainable_variables}
    assert trained
    assert all("discriminator_" in path for path in trained)
    frozen = len(network.variables) - len(trained)
    # Two vectors of each spectral norm, and the kernels of the features and the projections.
    norms = 2 * sum(len(convs) for convs in network.discriminators)
    assert frozen == norms + len(network.features.variables) + 2 * len(network.strides)
    with tf.GradientTape() as tape:
        image = picture()
        tape.watch(image)
        outputs = network({"label": label()}, image, training=True)
        total = tf.add_n([tf.reduce_sum(scale[-1]) for scale in outputs])
    gradients = tape.gradient(total, [image, *(v.value for v in network.trainable_variables)])
    assert all(gradient is not None for gradient in gradients)
    assert float(tf.reduce_max(tf.abs(gradients[0]))) > 0


def test_the_label_map_is_seen_where_it_is(network):
    """A label that changes in one corner moves the logits there, and none that are far away."""
    before, image = label(64, 256), picture(64, 256)
    after = tf.concat([before[:, :, :1] * 0 + 4, before[:, :, 1:]], -1)
    for one, other in zip(
        network({"label": before}, image), network({"label": after}, image), strict=True
    ):
        moved = np.abs(one[-1] - other[-1]).max((0, 1, 3))
        assert moved[0] > 0
        assert moved[-1] == 0


def test_the_label_map_is_averaged_over_positions(network):
    """Two maps with the same shares of classes in every position of 4x4 look alike."""
    before = tf.repeat(tf.repeat(label(16, 24), 4, 1), 4, 2)
    stripes = tf.tile(tf.constant([[0, 1, 2, 3]]), [2, 24])[:, None, :]
    one = tf.concat([tf.repeat(stripes, 4, 1), before[:, 4:]], 1)
    other = tf.concat([tf.repeat(stripes[:, :, ::-1], 4, 1), before[:, 4:]], 1)
    for a, b in zip(
        network({"label": one}, picture()), network({"label": other}, picture()), strict=True
    ):
        np.testing.assert_allclose(a[-1], b[-1], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_made_is_refused():
    with pytest.raises(ValueError, match=r"backbone must be one of .*: received 'resnet'"):
        ProjectedDiscriminator(5, backbone="resnet")
    with pytest.raises(ValueError, match="filters must be >= 1: received 0"):
        ProjectedDiscriminator(5, filters=0)
    network = ProjectedDiscriminator(5, filters=2)
    with pytest.raises(ValueError, match="at least 32 pixels high and wide: received 16x64"):
        network({"label": label(16, 64)}, picture(16, 64))
