"""An encoder whose gradient is cut, beside one that trains."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_experiment import get_config

from experiments.setup.assemble import make_gaugan
from pipelines.schema import LabelSet

LABELS = LabelSet(("a", "b"), ((0, 0, 0),) * 3, True, False)


def first_step(trainable):
    """The model, and the losses and gradients of its first step, by place of the weight."""
    config = get_config()
    config.data.use_instance, config.train.average_decay = False, 0.0
    config.encoder.trainable = trainable
    gan = make_gaugan(config, LABELS)
    random = np.random.default_rng(0)
    image = tf.constant(random.uniform(-1, 1, (2, 64, 64, 3)), tf.float32)
    label = tf.constant(random.integers(0, 3, (2, 64, 64)), tf.int32)
    with tf.GradientTape() as tape:
        losses = gan.generator_losses(gan.semantics({"label": label}), image)
        total = tf.add_n(list(losses.values()))
    networks = gan.generator.trainable_weights, gan.encoder.weights
    gradients = tape.gradient(total, [[weight.value for weight in each] for each in networks])
    return gan, losses, *gradients


@pytest.mark.usefixtures("eagerly")
def test_the_gradient_of_an_encoder_can_be_cut():
    trained, losses, of_generator, of_encoder = first_step(True)
    cut, losses_cut, of_generator_cut, of_encoder_cut = first_step(False)
    weights = trained.encoder.trainable_weights
    assert trained.generator_weights[-len(weights) :] == weights
    reached = [gradient for gradient in of_encoder if gradient is not None]
    assert len(reached) == len(weights)
    assert all(np.any(gradient) for gradient in reached)
    # Nothing of the other encoder is updated, and nothing reaches it.
    assert cut.generator_weights == cut.generator.trainable_weights
    assert of_encoder_cut == [None] * len(of_encoder)
    # It starts from the same weights, and all the rest is as before. A trained encoder makes a
    # power iteration for its spectral norms before it looks, which instance normalisation takes
    # out again but for its epsilon of 1e-5.
    for one, other in zip(trained.encoder.weights, cut.encoder.weights, strict=True):
        if "kernel" in one.path or "bias" in one.path:
            np.testing.assert_array_equal(one, other)
    assert losses.keys() - losses_cut.keys() == {"generator/kl"}
    for name in losses_cut:
        np.testing.assert_allclose(losses[name], losses_cut[name], rtol=1e-3)
    # Biases before a normalisation have gradients of rounding alone.
    for one, other in zip(of_generator, of_generator_cut, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-2 * np.abs(one).max() + 1e-7)
