"""Weights move with their classes, so the same places give the same pictures."""

import random

import numpy as np
import pytest
import tensorflow as tf
from conditioned import PLAIN, conditioned
from shapes_alone import shapes_alone

from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator
from spade_tf.training.transfer import TransferError, semantic_axes, transfer

# Three classes, unknown, edges; then a class more, in the middle, and two others exchanged.
OLD, NEW = 4, 5
CHANNELS = [1, None, 0, 2, 3, 4]
# The new id of each old id.
IDS = np.array([2, 0, 3, 4])
SPADE = {"image_size": (64, 64), "filters": 2, "hidden_filters": 4}
CLADE = {"image_size": (32, 32), "conditioning": "clade"}
CASES = {
    "spade": (SPADEGenerator, SPADE),
    "shared_spade": (SPADEGenerator, SPADE | {"conditioning": "shared_spade"}),
    "clade": (SPADEGenerator, SPADE | {"conditioning": "clade"}),
    "conditional_batch": (SPADEGenerator, SPADE | {"conditioning": "conditional_batch"}),
    "concat_convs": (SPADEGenerator, SPADE | {"conditioning": "affine", "concat": "convs"}),
    "concat_blocks": (SPADEGenerator, SPADE | {"conditioning": "affine", "concat": "blocks"}),
    "style": (SPADEGenerator, SPADE | {"z_dim": 3}),
    "pix2pixhd": (
        Pix2PixHDGenerator,
        SPADE | {"concat": "convs", "spectral_norm": True, "conditioning": "affine"},
    ),
}


def moved(make, channels=CHANNELS, num_labels=NEW, first=False, probe=None):
    """Two networks of `make`; the second has the weights of the first."""
    random.seed(0)
    source = make(OLD)
    for variable in source.variables:
        # Biases, running statistics and all: of order one, none of them where it started.
        if variable.dtype == "float32":
            noise = np.random.default_rng(len(variable.path)).uniform(0.3, 0.6, variable.shape)
            variable.assign(variable.numpy() * 10 + noise.astype(np.float32) * 0.1)
    target = make(num_labels)
    other, difference = (target, num_labels - OLD) if probe is None else (make(probe), probe - OLD)
    axes = semantic_axes(source, other, difference)
    transfer(source, target, axes=axes, channels=channels, source_channels=OLD + 1, first=first)
    return source, target


def maps(seed=0):
    random = np.random.default_rng(seed)
    label = random.integers(0, OLD, (2, 8, 8)).repeat(8, 1).repeat(8, 2)
    instance = tf.constant(random.integers(0, 3, (2, 8, 8)).repeat(8, 1).repeat(8, 2))
    return [{"label": tf.constant(ids), "instance": instance} for ids in (label, IDS[label])]


@pytest.mark.parametrize("case", CASES)
def test_a_generator_makes_the_same_pictures_with_a_class_more(case):
    network, options = CASES[case]
    default = {"default": PLAIN} if network is Pix2PixHDGenerator else {}
    options = conditioned(**options, **default)
    source, target = moved(lambda n: network(n, use_instance_edges=True, **options))
    z = None if source.z_dim is None else tf.constant(np.eye(2, 3), tf.float32)
    before, after = (net(x, z=z) for net, x in zip((source, target), maps(), strict=True))
    assert np.ptp(before) > 1e-2
    # Sums over one channel more, which is zero, in another order: float32, a dozen layers.
    np.testing.assert_allclose(after, before, rtol=0, atol=2e-5)
    # The new class is not the same as any: nor is the map read without it.
    other = {**maps()[1], "label": tf.ones((2, 64, 64), tf.int64)}
    assert np.abs(target(other, z=z) - after).max() > 1e-4


def test_classes_in_another_order_are_found_by_a_network_of_one_more():
    exchanged = [1, 0, 2, 3, 4]
    source, target = moved(
        lambda n: SPADEGenerator(n, use_instance_edges=True, **conditioned(**SPADE)),
        channels=exchanged,
        num_labels=OLD,
        probe=OLD + 1,
    )
    x = maps()[0]
    y = {**x, "label": tf.gather(tf.constant(exchanged[:4]), x["label"])}
    np.testing.assert_allclose(target(y), source(x), rtol=0, atol=2e-5)
    assert np.abs(target(x) - source(x)).max() > 1e-4


def test_a_discriminator_sees_the_same_with_a_class_more():
    source, target = moved(
        lambda n: MultiscaleDiscriminator(n, use_instance_edges=True, filters=4, num_layers=3),
        first=True,
    )
    image = tf.random.stateless_uniform((2, 64, 64, 3), [1, 2], -1, 1)
    before, after = (net(x, image) for net, x in zip((source, target), maps(), strict=True))
    for a, b in zip(tf.nest.flatten(before), tf.nest.flatten(after), strict=True):
        # Instance-normalised features of order one.
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)


def test_new_channels_are_zero_and_others_where_they_belong():
    source, target = moved(
        lambda n: SPADEGenerator(n, use_instance_edges=True, **conditioned(**SPADE))
    )
    ours, theirs = target.fc.kernel.numpy(), source.fc.kernel.numpy()
    np.testing.assert_array_equal(ours[:, :, 1], 0)
    np.testing.assert_array_equal(ours[:, :, [0, 2, 3, 4, 5]], theirs[:, :, [1, 0, 2, 3, 4]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": 4}, r"\w+/fc/kernel is \[3, 3, 5, 32\] in the source and \[3, 3, 6, 64\] in"),
        ({"hidden_filters": 5}, r"is \[3, 3, 5, 4\] in the source and \[3, 3, 6, 5\]"),
        ({"kernel_size": 5}, r"is \[3, 3, 5, 4\] in the source and \[5, 5, 6, 4\]"),
        ({"num_upsampling_layers": "most"}, r"is only in the (source|new) network"),
        ({"spectral_norm": False}, r"/[uv] is only in the source network"),
    ],
)
def test_networks_of_another_make_are_refused_by_the_tensor_s_name(options, message):
    # 128 pixels: the smallest picture of a generator of seven upsamplings ("most").
    base = SPADE | {"image_size": (128, 128)}
    with shapes_alone():
        source = SPADEGenerator(OLD, use_instance_edges=True, **conditioned(**base))
        target = SPADEGenerator(NEW, use_instance_edges=True, **conditioned(**base | options))
    with pytest.raises(TransferError, match=message):
        semantic_axes(source, target, 1)


def test_a_transfer_that_does_not_fit_changes_no_weight():
    source, target = (SPADEGenerator(OLD, filters=n, **CLADE) for n in (2, 4))
    before = [variable.numpy() for variable in target.variables]
    with pytest.raises(TransferError):
        transfer(source, target, axes={}, channels=range(4), source_channels=4, first=False)
    for variable, value in zip(target.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
