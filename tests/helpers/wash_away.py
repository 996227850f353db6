"""Uniform label maps through a convolution and a normalisation: what is left of the label."""

import keras
import numpy as np

from spade_tf.layers.normalization import InstanceNorm
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spade import SPADE
from spade_tf.networks.pix2pixhd import pad

NUM_LABELS, CHANNELS = 3, 3


def draw_weights(layer, seed=0, biases=0.0):
    """Random weights that keep the size of what goes through, and biases of some deviation."""
    random = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        is_kernel = len(weight.shape) > 1
        deviation = np.prod(weight.shape[:-1]) ** -0.5 if is_kernel else biases
        weight.assign(random.normal(0, deviation, weight.shape))


def activations(label):
    """The convolution of label maps, and what instance norm and SPADE with it make of that.

    Args:
        label: int `[B, H, W]`.

    Returns:
        float32 `[B, H, W, CHANNELS]` by name.
    """
    semantics = Semantics.from_inputs(
        {"label": label}, num_labels=NUM_LABELS, use_instance_edges=False
    )
    conv = keras.layers.Conv2D(CHANNELS, 3)
    spade = SPADE(NUM_LABELS, hidden_filters=16, norm="instance")
    conv.build((None, None, None, NUM_LABELS))
    spade.build((None, None, None, CHANNELS))
    draw_weights(conv, 1)
    draw_weights(spade, 2)
    # By reflection: zeros around the map would tell where its edge is.
    x = conv(pad(semantics.dense, 1))
    return {
        "convolution": np.asarray(x),
        "instance norm": np.asarray(InstanceNorm()(x)),
        "SPADE": np.asarray(spade(x, semantics=semantics)),
    }
