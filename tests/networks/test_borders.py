"""Steps in pictures that upsampling and padding leave behind, and do not."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.conditioning import Conditioning
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spade_resnet_block import SPADEResnetBlock
from spade_tf.metrics.steps import picture_steps
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.upsampling import upsample

NARROW = Conditioning(hidden_filters=8)
UNIFORM = {"label": tf.ones([1, 64, 96], tf.int32)}


@cache
def make(z_dim=None, image_size=(64, 96), conditioning=NARROW, **options):
    """A generator whose pictures are neither grey nor saturated."""
    network = SPADEGenerator(
        3, image_size, filters=4, z_dim=z_dim, conditioning=conditioning, **options
    )
    random = np.random.default_rng(1)
    for weight in network.trainable_weights:
        if len(weight.shape) > 1:
            weight.assign(random.normal(size=weight.shape) / np.sqrt(np.prod(weight.shape[:-1])))
        else:
            weight.assign(0.3 * random.normal(size=weight.shape))
    for block in network.blocks:
        for conv in (block.conv_0, block.conv_1, getattr(block, "conv_s", None)):
            for _ in range(3 if conv is not None else 0):
                conv.normalized_kernel(training=True)
    network.conv_img.kernel.assign(0.3 * network.conv_img.kernel)
    return network


@pytest.mark.parametrize(
    "conditioning", [NARROW, Conditioning("shared_spade", hidden_filters=8, concat="convs")]
)
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("padding", ["reflect", "replicate"])
def test_a_uniform_map_makes_a_uniform_picture(padding, upsampling, conditioning):
    """Nothing tells one place from another but the border, and the border is like any place."""
    network = make(padding=padding, upsampling=upsampling, conditioning=conditioning)
    picture = network(UNIFORM).numpy()
    assert 0.01 < np.abs(picture).max() < 0.99
    # Float32 sums in another order at some places, through twenty layers.
    np.testing.assert_allclose(
        picture, np.broadcast_to(picture[:, :1, :1], picture.shape), atol=1e-5
    )


def test_noise_makes_grain_of_a_uniform_map():
    picture = make(padding="reflect", upsampling="bilinear", noise_inputs=True)(UNIFORM).numpy()
    assert picture.std(axis=(1, 2)).min() > 0.01


def test_zeros_tell_the_border_from_other_places():
    picture = make(padding="zeros", upsampling="bilinear")(UNIFORM).numpy()
    assert np.ptp(picture, axis=(1, 2)).max() > 0.01


@pytest.mark.parametrize("padding", ["reflect", "replicate"])
def test_fused_and_deduplicated_too(padding):
    network = make(padding=padding, upsampling="bilinear")
    picture = network.fuse()(UNIFORM).numpy()
    np.testing.assert_allclose(picture, network(UNIFORM), rtol=0, atol=1e-5)
    # One neighbourhood, where zeros make twenty-five.
    semantics = network.fuse().semantics(UNIFORM)
    assert int(semantics.neighbourhoods(3, padding).second_count) == 1
    assert int(semantics.neighbourhoods(3).second_count) == 25


def test_repeated_pixels_make_steps_where_they_meet_and_bilinear_ones_do_not():
    """Largest over smallest mean step of four columns or rows: 1 where all are alike."""
    ratios = {}
    for upsampling in ("nearest", "bilinear"):
        network = make(z_dim=6, image_size=(64, 64), padding="replicate", upsampling=upsampling)
        z = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
        pictures = network({"label": tf.zeros([4, 64, 64], tf.int32)}, z=z)
        by_position = np.mean(picture_steps(pictures, block=4).grid, axis=0)
        ratios[upsampling] = (by_position.max(1) / by_position.min(1)).max()
    # Measured: 2.35 and 1.06.
    assert ratios["nearest"] > 1.7
    assert ratios["bilinear"] == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("padding", ["reflect", "replicate"])
def test_a_block_has_the_gradients_of_its_dense_form_by_xla(padding):
    """What one step of a generator is made of; XLA has no look-ups, so this is dense."""
    block = SPADEResnetBlock(4, 3, conditioning=NARROW, padding=padding)
    block.build((None, None, None, 2))
    random = np.random.default_rng(0)
    label = tf.constant(random.integers(0, 3, (2, 8, 8)), tf.int32)
    x = tf.constant(random.normal(size=(2, 4, 4, 2)), tf.float32)

    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = block(upsample(x, "bilinear"), semantics=Semantics(3, label=label))
            loss = tf.reduce_sum(tf.sin(y))
        return tape.gradient(loss, [x, *(weight.value for weight in block.trainable_weights)])

    by_xla = tf.function(gradients, jit_compile=True, autograph=False)()
    for found, expected in zip(by_xla, gradients(), strict=True):
        scale = np.abs(expected).max()
        assert scale > 0
        # Float32 sums over 128 pixels.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)
