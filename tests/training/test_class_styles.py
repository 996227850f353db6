"""Styles of classes in training: what is encoded, what is drawn, and where gradients go."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_networks import SmallDiscriminator, values

from spade_tf.layers.conditioning import Conditioning
from spade_tf.losses.kl import kl_divergence
from spade_tf.networks import ClassEncoder, ConvEncoder, SPADEGenerator
from spade_tf.networks.styles import split_style
from spade_tf.training.checkpoints import Checkpoints
from spade_tf.training.gaugan import GauGAN
from spade_tf.training.options import LossWeights, Updates

LABELS, DIM, SIZE = 3, 2, 32


def make(encoded=True, z_dim=None, average=False, **updates):
    random.seed(0)

    def generator(name):
        # Layer normalisation: the examples of a batch do not see one another. The dense form is
        # the quickest to trace.
        conditioning = Conditioning(
            norm="layer", hidden_filters=4, form="dense", class_style_dim=DIM
        )
        return SPADEGenerator(
            LABELS, (SIZE, SIZE), filters=1, z_dim=z_dim, conditioning=conditioning, name=name
        )

    encoder = None
    if encoded:
        encoder = ClassEncoder(
            LABELS, DIM, z_dim, filters=2, image_size=(SIZE, SIZE), num_layers=3, name="encoder"
        )
    model = GauGAN(
        generator("generator"),
        SmallDiscriminator(LABELS, name="discriminator"),
        encoder,
        average_generator=generator("average_generator") if average else None,
        loss_weights=LossWeights(l1=1.0, kl=0.5),
        updates=Updates(average_decay=0.5, **updates),
    )
    for variable in model.generator.trainable_variables:
        # The start, of gain 0.02, would leave the encoder gradients of 1e-9.
        if len(variable.shape) > 1:
            variable.assign(20.0 * variable)
    model.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return model


def batch(size=4, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, (size, SIZE // 8, SIZE // 8))
    label[0, 0, 0] = 2
    return {
        "image": tf.constant(rng.uniform(-1, 1, (size, SIZE, SIZE, 3)), tf.float32),
        "label": tf.constant(np.repeat(np.repeat(label, 8, 1), 8, 2), tf.int32),
    }


@pytest.mark.usefixtures("eagerly")
def test_gradients_reach_the_encoder_and_the_kernels_of_styles():
    model, given = make(), batch()
    with tf.GradientTape() as tape:
        losses = model.generator_losses(model.semantics(given), given["image"])
        total = losses["generator/l1"]
    weights = [w for w in model.generator_weights if "style_kernel" in w.path]
    weights += model.encoder.trainable_weights
    assert len(weights) == 18 + 10
    for gradient, weight in zip(
        tape.gradient(total, [w.value for w in weights]), weights, strict=True
    ):
        assert gradient is not None, weight.path
        assert np.any(gradient), weight.path
    mu, logvar = model.encoder(given["image"], given["label"])
    # Weighted by 0.5, times 4 examples of 4. The first two examples have no class 2 but for one.
    expected = 0.5 * float(kl_divergence(mu, logvar))
    # A power iteration of the spectral norms lies between the two.
    np.testing.assert_allclose(losses["generator/kl"], expected, rtol=0.2)
    assert np.all(mu.numpy().reshape(4, LABELS, DIM)[1:, 2] == 0.0)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("z_dim", [None, 5])
def test_without_an_encoder_styles_are_drawn(z_dim):
    model, given = make(encoded=False, z_dim=z_dim), batch()
    semantics = model.semantics(given)
    image, gaussian = model.generate(semantics, given["image"])
    assert gaussian is None
    noise = model.noise(4, 0)
    assert noise.shape == (4, (z_dim or 0) + LABELS * DIM)
    z, class_styles = split_style(model.generator, noise)
    expected = model.generator({**given, "class_styles": class_styles}, z=z)
    np.testing.assert_array_equal(image, expected)
    assert "generator/kl" not in model.generator_losses(semantics, given["image"])


@pytest.mark.usefixtures("eagerly")
def test_absent_classes_are_drawn_beside_an_encoder():
    model, given = make(), batch()
    style, (mu, logvar) = model.style(model.semantics(given), given["image"])
    noise = model.noise(4, 0).numpy()
    np.testing.assert_array_equal(style[1:, -DIM:], noise[1:, -DIM:])
    expected = mu + np.exp(0.5 * logvar.numpy()) * noise
    # One rounding.
    np.testing.assert_allclose(style, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_a_step_in_parts_is_the_whole_step():
    whole, parts = make(), make(accumulation_steps=2)
    losses, again = (model.train_step(batch()) for model in (whole, parts))
    for name, loss in losses.items():
        # Float32 sums over the batch in another order.
        np.testing.assert_allclose(again[name], loss, rtol=1e-3, atol=1e-5, err_msg=name)
    for one, other in zip(whole.generator_weights, parts.generator_weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=0, atol=1e-4)


@pytest.mark.usefixtures("eagerly")
def test_evaluation_takes_the_styles_of_the_pictures(tmp_path):
    model, given = make(z_dim=5, average=True), batch()
    semantics = model.semantics(given)
    generator, style = model.evaluated(semantics, given["image"])
    assert generator is model.average_generator
    np.testing.assert_array_equal(style, model.encoder(given["image"], given["label"])[0])
    losses = model.evaluation_losses(given)
    z, class_styles = split_style(generator, style)
    image = generator({**given, "class_styles": class_styles}, z=z)
    np.testing.assert_allclose(
        # A mean of float32.
        losses["inference/l1"],
        np.abs(image - given["image"]).mean(),
        rtol=1e-5,
    )
    model.train_step(given)
    Checkpoints(model, tmp_path).save(1)
    other = make(z_dim=5, average=True)
    assert Checkpoints(other, tmp_path).restore_latest() == 1
    for one, two in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy(), err_msg=one.path)
    # What continues is the same training: the same noise, from the same weights.
    again = other.train_step(batch(seed=1))
    for name, loss in model.train_step(batch(seed=1)).items():
        np.testing.assert_array_equal(again[name], loss, err_msg=name)


@pytest.mark.distributed
def test_two_replicas_train_as_one(two_replicas):
    one = make()
    one.train_step(batch())
    with two_replicas.scope():
        two = make()
    per_replica = [{key: value[i : i + 2] for key, value in batch().items()} for i in (0, 2)]
    shared = two_replicas.experimental_distribute_values_from_function(
        lambda context: per_replica[context.replica_id_in_sync_group]
    )
    two_replicas.run(two.train_step, (shared,))
    for a, b in zip(values(one.generator_weights), values(two.generator_weights), strict=True):
        # As for parts.
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)


@pytest.mark.parametrize("encoder", [ConvEncoder(5, 1, (SIZE, SIZE), 3), ClassEncoder(3, 4)])
def test_an_encoder_of_other_styles_is_refused(encoder):
    generator = SPADEGenerator(
        LABELS, (SIZE, SIZE), filters=1, conditioning=Conditioning(class_style_dim=DIM)
    )
    with pytest.raises(ValueError, match=r"of the encoder and .* of the generator"):
        GauGAN(generator, SmallDiscriminator(LABELS), encoder)
