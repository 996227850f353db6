import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.clade import CLADE
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.shared_predictor import SharedPredictor
from spade_tf.layers.shared_spade import SharedSPADE
from spade_tf.layers.spade import SPADE

LABEL = np.random.default_rng(0).integers(0, 3, [2, 8, 8]).astype("int32")
X = np.sin(np.arange(2 * 8 * 8 * 4, dtype="float32")).reshape(2, 8, 8, 4)


def test_predictor_and_projection_reproduce_spade():
    """SPADE with 1x1 convolutions to gamma and beta is a predictor whose second one is I."""
    spade = SPADE(3, hidden_filters=5, kernel_size=1, norm="instance")
    spade.build((None, None, None, 4))
    predictor = SharedPredictor(3, hidden_filters=5, kernel_size=1)
    predictor.build()
    predictor.conv_0.set_weights(spade.modulation.shared.get_weights())
    predictor.conv_1.set_weights([np.eye(5)[None, None], np.zeros(5)])
    layer = SharedSPADE(5, norm="instance")
    layer.build((None, None, None, 4))
    layer.gamma.set_weights(spade.modulation.gamma.get_weights())
    layer.beta.set_weights(spade.modulation.beta.get_weights())
    semantics = Semantics(3, label=tf.constant(LABEL))
    features = semantics.with_dense(predictor(semantics=semantics))
    expected = spade(X, semantics=semantics)
    np.testing.assert_allclose(layer(X, semantics=features), expected, atol=1e-6)


def test_on_labels_it_is_clade_with_a_bias():
    clade, layer = CLADE(3, norm="instance"), SharedSPADE(3, norm="instance")
    for each in (clade, layer):
        each.build((None, None, None, 4))
    layer.gamma.kernel.assign(clade.gamma.value[None, None])
    layer.beta.kernel.assign(clade.beta.value[None, None])
    layer.beta.bias.assign(np.ones(4))
    semantics = Semantics(3, label=tf.constant(LABEL))
    expected = clade(X, semantics=semantics) + 1.0
    np.testing.assert_allclose(layer(X, semantics=semantics), expected, atol=1e-6)


def test_predictor_sees_a_neighbourhood_of_five():
    predictor = SharedPredictor(2, hidden_filters=3)
    dense = tf.Variable(tf.ones([1, 9, 9, 2]))
    with tf.GradientTape() as tape:
        features = predictor(semantics=Semantics(dense=dense))
        loss = tf.reduce_sum(features[:, 4, 4])
    reached = np.abs(tape.gradient(loss, dense)[0]).max(-1) > 0
    expected = np.zeros([9, 9], bool)
    expected[2:7, 2:7] = True
    np.testing.assert_array_equal(reached, expected)


def test_bad_arguments():
    with pytest.raises(ValueError, match="kernel_size must be odd: received 4"):
        SharedPredictor(3, kernel_size=4)
    with pytest.raises(ValueError, match="needs semantics of 5 channels: received 3"):
        SharedSPADE(5)(X, semantics=Semantics(3, label=tf.constant(LABEL)))
