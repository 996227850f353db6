import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.conditioning import (
    CONDITIONINGS,
    Conditioning,
    conditions_by_scale,
    get_conditional_norm,
)
from spade_tf.layers.normalization import get_normalization
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.shared_predictor import SharedPredictor
from spade_tf.layers.spade_resnet_block import SPADEResnetBlock

LABEL = np.random.default_rng(0).integers(0, 3, [2, 8, 8]).astype("int32")
X = np.sin(np.arange(2 * 4 * 4 * 4, dtype="float32")).reshape(2, 4, 4, 4)
EMBEDDING = np.array([[1.0, 2.0], [-1.0, 0.5]], "float32")


def make(name, norm="instance", **kwargs):
    how = Conditioning(name, norm=norm, hidden_filters=5)
    return get_conditional_norm(how, semantic_channels=3, embedding_dim=2, **kwargs)


@pytest.mark.parametrize("norm", ["batch", "local_batch", "instance", "layer", "group"])
@pytest.mark.parametrize("name", CONDITIONINGS)
def test_one_interface(name, norm):
    channels = 32 if norm == "group" else 4
    x = np.tile(X, channels // 4)
    layer = make(name, norm=norm, layer_name="a_name")
    assert layer.name == "a_name"
    semantics = Semantics(3, label=tf.constant(LABEL))
    output = layer(x, semantics=semantics, embedding=EMBEDDING, training=True)
    assert output.shape == x.shape
    assert layer.normalization.name == "normalization"


@pytest.mark.parametrize("name", CONDITIONINGS)
def test_without_modulation_all_are_the_norm(name):
    layer = make(name)
    layer.build((None, None, None, 4))
    if name != "affine":
        for weight in layer.trainable_weights:
            weight.assign(tf.zeros_like(weight))
    semantics = Semantics(3, label=tf.constant(LABEL))
    expected = get_normalization("instance")(X)
    np.testing.assert_array_equal(layer(X, semantics=semantics, embedding=EMBEDDING), expected)


def sees(name, change):
    layer = make(name)
    one = layer(X, semantics=Semantics(3, label=tf.constant(LABEL)), embedding=EMBEDDING)
    label, embedding = change(LABEL, EMBEDDING)
    other = layer(X, semantics=Semantics(3, label=tf.constant(label)), embedding=embedding)
    return not np.allclose(one, other, atol=1e-7)


def test_what_each_is_conditioned_on():
    spatial = {"spade", "shared_spade", "clade"}
    moved = {name for name in CONDITIONINGS if sees(name, lambda y, z: (y[:, ::-1, ::-1], z))}
    other = {name for name in CONDITIONINGS if sees(name, lambda y, z: ((y + 1) % 3, z))}
    styled = {name for name in CONDITIONINGS if sees(name, lambda y, z: (y, z + 1.0))}
    assert moved - {"conditional_batch"} == spatial
    assert other == spatial | {"conditional_batch"}
    assert styled == {"adain"}


@pytest.mark.parametrize("concat", [None, "convs", "blocks"])
@pytest.mark.parametrize("name", CONDITIONINGS)
def test_every_weight_of_a_block_gets_a_gradient(name, concat):
    how = Conditioning(name, hidden_filters=5, concat=concat)
    block = SPADEResnetBlock(6, 3, conditioning=how, embedding_dim=2)
    semantics = Semantics(3, label=tf.constant(LABEL))
    with tf.GradientTape() as tape:
        output = block(X, semantics=semantics, embedding=EMBEDDING, training=True)
        loss = tf.reduce_sum(tf.sin(output * np.arange(1, 7, dtype="float32")))
    gradients = tape.gradient(loss, [weight.value for weight in block.trainable_weights])
    for weight, gradient in zip(block.trainable_weights, gradients, strict=True):
        assert gradient is not None, weight.path
        assert isinstance(gradient, tf.Tensor), weight.path
        assert np.isfinite(gradient).all(), weight.path
        assert np.abs(gradient).max() > 0, weight.path
    clone = SPADEResnetBlock.from_config(block.get_config())
    assert clone.get_config() == block.get_config()


def test_concat_adds_the_channels_of_the_map_to_each_input():
    def inputs(concat):
        block = SPADEResnetBlock(6, 3, conditioning=Conditioning("affine", concat=concat))
        block.build((None, None, None, 4))
        return [
            block.conv_0.kernel.shape[2],
            block.conv_1.kernel.shape[2],
            block.conv_s.kernel.shape[2],
        ]

    assert inputs(None) == [4, 4, 4]
    assert inputs("blocks") == [7, 4, 7]
    assert inputs("convs") == [7, 7, 7]


def test_each_resolution_is_predicted_once():
    calls = []

    class Predictor(SharedPredictor):
        def call(self, *, semantics):
            calls.append(semantics.shape)
            return super().call(semantics=semantics)

    at = conditions_by_scale(Semantics(3, label=tf.constant(LABEL)), Predictor(3, hidden_filters=2))
    assert at(2) is at(2)
    assert at(2).dense.shape == (2, 4, 4, 2)
    assert at(1).dense.shape == (2, 8, 8, 2)
    assert calls == [(2, 4, 4), (2, 8, 8)]


def test_without_a_predictor_the_labels_are_the_condition():
    semantics = Semantics(3, label=tf.constant(LABEL))
    at = conditions_by_scale(semantics, None)
    assert at(1) is semantics
    assert at(4) is semantics.downsample(4)


def test_bad_names():
    with pytest.raises(ValueError, match="conditioning must be one of spade"):
        make("film")
    with pytest.raises(ValueError, match="give a z_dim"):
        get_conditional_norm("adain", semantic_channels=3)
    with pytest.raises(ValueError, match="concat must be 'convs', 'blocks' or None: received True"):
        SPADEResnetBlock(6, 3, conditioning=Conditioning(concat=True))
