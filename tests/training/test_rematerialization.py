"""A generator whose blocks are computed again for their gradients is the same generator."""

import random

import numpy as np
import tensorflow as tf

from spade_tf.layers.conditioning import Conditioning
from spade_tf.layers.rematerialization import rematerialize
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spade_resnet_block import SPADEResnetBlock


def run(again):
    random.seed(0)
    block = SPADEResnetBlock(4, 3, conditioning=Conditioning(hidden_filters=2))
    block.build((None, 8, 8, 2))
    rng = np.random.default_rng(0)
    semantics = Semantics(3, label=tf.constant(rng.integers(0, 3, (2, 8, 8)), tf.int32))
    x = tf.constant(rng.normal(size=(2, 8, 8, 2)), tf.float32)
    weights = [weight.value for weight in block.trainable_variables]

    @tf.function(autograph=False)
    def step():
        def function(x):
            return block(x, semantics=semantics, training=True)

        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(rematerialize(function)(x) if again else function(x)))
        return loss, tape.gradient(loss, [x, *weights])

    loss, gradients = step()
    return loss, gradients, block


def test_losses_gradients_and_state_are_the_same():
    plain, again = run(False), run(True)
    np.testing.assert_allclose(again[0], plain[0], rtol=1e-6)
    for a, b in zip(again[1], plain[1], strict=True):
        # Float32 sums in another order, of gradients of up to a hundred.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    # Batch statistics and singular vectors have moved once, not twice.
    for a, b in zip(again[2].variables, plain[2].variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6, err_msg=a.path)
