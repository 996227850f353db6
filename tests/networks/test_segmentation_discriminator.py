"""Discriminators that find the class of every pixel."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from spade_tf.networks.backbones import BACKBONES
from spade_tf.networks.projected_segmentation import ProjectedSegmentationDiscriminator
from spade_tf.networks.segmentation_discriminator import SegmentationDiscriminator
from spade_tf.networks.spectral_resnet_block import SpectralResnetBlock


def picture(height=32, width=64):
    return tf.random.stateless_uniform([2, height, width, 3], [1, 2], -1.0, 1.0)


def made(kind):
    if kind == "segmentation":
        return SegmentationDiscriminator(5, filters=4, num_downsamplings=3)
    return ProjectedSegmentationDiscriminator(5, backbone=kind, filters=4)


@pytest.mark.parametrize("kind", ["segmentation", *BACKBONES])
def test_every_pixel_has_a_logit_for_each_class_and_for_fake(kind):
    (features,) = made(kind)({"label": None}, picture())
    assert features[-1].shape == (2, 32, 64, 6)
    # On the way up, each map is twice as large as the one before.
    sizes = [feature.shape[1] for feature in features[:-1]]
    assert sizes[-1] == 32
    assert all(after == 2 * before for before, after in itertools.pairwise(sizes))
    # At the start no answer is sure.
    assert np.max(tf.nn.softmax(features[-1])) < 0.9


def test_full_resolution_adds_what_a_block_sees_in_the_picture_itself():
    """Logits are those of the features plus a 1x1 convolution of the block: two networks agree."""
    image = picture()
    full = ProjectedSegmentationDiscriminator(5, filters=4, full_resolution=True)
    plain = ProjectedSegmentationDiscriminator(5, filters=4)
    block = {id(variable) for variable in full.pixels.variables}
    kernel = full.logits.kernel.numpy()
    shared = [each for each in full.variables if id(each) not in block]
    for ours, theirs in zip(plain.variables, shared, strict=True):
        ours.assign(kernel[:, :, :-2] if theirs is full.logits.kernel else theirs)
    seen = tf.nn.leaky_relu(full.pixels(image), 0.2)
    assert seen.shape == (2, 32, 64, 2)
    added = np.einsum("bhwc,cn->bhwn", seen, kernel[0, 0, -2:])
    assert np.abs(added).mean() > 0.01
    # Sums of numbers near 1 in another order.
    actual, expected = full(None, image)[0][-1], plain(None, image)[0][-1]
    np.testing.assert_allclose(actual - expected, added, rtol=0, atol=1e-5)


def test_logits_depend_on_pixels_near_and_far():
    """The skips carry what is near, the way down what is far away."""
    network, image = made("segmentation"), picture()
    with tf.GradientTape() as tape:
        tape.watch(image)
        logit = network(None, image)[0][-1][0, 4, 4, 0]
    slope = tf.reduce_max(tf.abs(tape.gradient(logit, image)[0]), -1).numpy()
    assert slope[4, 4] > 0
    assert slope[24, 4] > 0


@pytest.mark.parametrize("kind", BACKBONES)
def test_the_frozen_network_is_not_trained(kind):
    network = made(kind)
    trained = {variable.path for variable in network.trainable_variables}
    assert trained
    assert not any("features" in path for path in trained)
    before = network.features.get_weights()
    with tf.GradientTape() as tape:
        image = picture()
        tape.watch(image)
        total = tf.reduce_sum(tf.square(network(None, image, training=True)[0][-1]))
    gradients = tape.gradient(total, [image, *(v.value for v in network.trainable_variables)])
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)
    for a, b in zip(before, network.features.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("resampling", ["none", "down", "up"])
def test_the_block_is_the_formula(resampling):
    """By the layers' own convolutions, with the shortcut in the order of the text."""
    block = SpectralResnetBlock(5, resampling=resampling)
    x = picture(6, 8)
    actual = block(x)

    def lrelu(x):
        return tf.maximum(x, 0.2 * x)

    def resampled(x):
        if resampling == "down":
            return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
        return tf.repeat(tf.repeat(x, 2, 1), 2, 2) if resampling == "up" else x

    first = lrelu(x)
    if resampling == "up":
        first = resampled(first)
    y = block.conv_1(lrelu(block.conv_0(first)))
    expected = block.conv_s(resampled(x)) + (resampled(y) if resampling == "down" else y)
    # Sums of some 45 products in another order.
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_made_is_refused():
    with pytest.raises(ValueError, match=r"backbone must be one of .*: received 'resnet'"):
        ProjectedSegmentationDiscriminator(5, backbone="resnet")
    for network in (SegmentationDiscriminator, ProjectedSegmentationDiscriminator):
        with pytest.raises(ValueError, match="filters must be >= 1: received 0"):
            network(5, filters=0)
    with pytest.raises(ValueError, match="num_downsamplings must be from 1 to 6: received 7"):
        SegmentationDiscriminator(5, num_downsamplings=7)
    with pytest.raises(ValueError, match="multiples of 8: received 36x32"):
        made("segmentation")(None, picture(36, 32))
    with pytest.raises(ValueError, match="multiples of 32: received 48x32"):
        made("efficientnet_lite0")(None, picture(48, 32))
    with pytest.raises(ValueError, match=r"resampling must be one of .*: received 'half'"):
        SpectralResnetBlock(5, resampling="half")
