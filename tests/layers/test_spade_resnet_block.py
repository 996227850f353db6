import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.conditioning import Conditioning
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spade_resnet_block import SPADEResnetBlock
from spade_tf.layers.spectral_norm import SpectralConv2D


def activations(channels):
    x = np.linspace(-1.0, 1.0, 2 * 4 * 6 * channels)
    return np.sin(23.0 * x).reshape(2, 4, 6, channels).astype("float32")


def semantics():
    ids = np.arange(2 * 8 * 12).reshape(2, 8, 12)
    return Semantics(3, label=tf.constant(ids // 5 % 3, tf.int32))


def built(channels, filters, **kwargs):
    narrow = Conditioning(hidden_filters=7)
    block = SPADEResnetBlock(filters, 3, conditioning=narrow, **kwargs)
    block.build((None, None, None, channels))
    for weight in block.trainable_weights:
        start = weight.numpy()
        weight.assign(50.0 * start if start.ndim > 1 else np.linspace(-0.3, 0.5, start.size))
    return block


@pytest.mark.parametrize(("channels", "filters", "middle"), [(6, 4, 4), (4, 6, 4), (5, 5, 5)])
def test_middle_is_the_smaller_and_the_shortcut_is_learned_where_they_differ(
    channels, filters, middle
):
    block = built(channels, filters)
    assert block(activations(channels), semantics=semantics()).shape == (2, 4, 6, filters)
    assert tuple(block.conv_0.kernel.shape) == (3, 3, channels, middle)
    assert tuple(block.conv_1.kernel.shape) == (3, 3, middle, filters)
    assert block.learned_shortcut == (channels != filters)
    assert hasattr(block, "conv_s") == block.learned_shortcut
    if block.learned_shortcut:
        assert tuple(block.conv_s.kernel.shape) == (1, 1, channels, filters)
        assert not block.conv_s.use_bias
    assert block.conv_0.use_bias
    assert block.conv_1.use_bias


@pytest.mark.parametrize("spectral_norm", [True, False])
@pytest.mark.parametrize(("channels", "filters"), [(6, 4), (5, 5)])
def test_block_is_the_sum_of_its_branches(channels, filters, spectral_norm):
    block, x = built(channels, filters, spectral_norm=spectral_norm), activations(channels)
    assert isinstance(block.conv_0, SpectralConv2D) == spectral_norm
    conditions = semantics()

    def leaky(x):
        return np.where(x > 0, x, 0.2 * x)

    def spade(layer, x):
        return layer(x, semantics=conditions).numpy()

    residual = block.conv_0(leaky(spade(block.spade_0, x))).numpy()
    residual = block.conv_1(leaky(spade(block.spade_1, residual))).numpy()
    shortcut = x
    if channels != filters:
        # Without activation: negative values go in whole.
        normalized = spade(block.spade_s, x)
        assert normalized.min() < -0.1
        kernel = block.conv_s.normalized_kernel() if spectral_norm else block.conv_s.kernel
        shortcut = normalized @ np.asarray(kernel)[0, 0]
    actual = block(x, semantics=conditions)
    # The same layers twice; the 1x1 convolution is a sum of 6 terms in another order.
    np.testing.assert_allclose(actual, shortcut + residual, rtol=0, atol=1e-5)


def test_only_the_convolutions_of_the_block_are_spectrally_normalised():
    names = {weight.path.split("/", 1)[1] for weight in built(6, 4).non_trainable_weights}
    vectors = {f"{conv}/{vector}" for conv in ("conv_0", "conv_1", "conv_s") for vector in "uv"}
    assert vectors <= names
    assert not {name for name in names - vectors if name.endswith(("/u", "/v"))}


def test_training_moves_statistics_and_singular_vectors():
    block = built(6, 4)
    before = [weight.numpy() for weight in block.non_trainable_weights]
    block(activations(6), semantics=semantics(), training=True)
    for weight, start in zip(block.non_trainable_weights, before, strict=True):
        assert not np.array_equal(weight.numpy(), start), weight.path


def test_unknown_channels():
    with pytest.raises(ValueError, match="known number of channels"):
        SPADEResnetBlock(4, 3).build((None, 4, 4, None))
