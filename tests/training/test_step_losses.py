"""The L1 and the stripe loss, and how many of VGG's feature maps are compared."""

import numpy as np
import pytest
import tensorflow as tf
from small_networks import make_small, small_batch

from experiments.setup import assemble
from experiments.setup.config import Config, ConfigError
from experiments.setup.validation import validate
from spade_tf.convert.efficientnet_lite import load_efficientnet_lite
from spade_tf.losses.stripes import stripe_loss
from spade_tf.training.options import LossWeights


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("l1", lambda fake, real: np.abs(fake.numpy() - real.numpy()).mean()),
        ("stripes", stripe_loss),
    ],
)
@pytest.mark.parametrize("weight", [0.0, 3.0])
def test_a_loss_of_both_pictures_counts_by_its_weight(name, loss, weight):
    model = make_small(loss_weights=LossWeights(**{name: weight}))
    batch = small_batch(2)
    semantics, real = model.semantics(batch), batch["image"]
    fake = tf.constant(np.random.default_rng(1).uniform(-1, 1, real.shape), tf.float32)
    losses = model.picture_losses(semantics, real, fake, training=False)
    if not weight:
        assert f"generator/{name}" not in losses
        return
    # float32 sums of some thousand numbers; the stripe loss is the very same operations.
    tolerance = {"l1": 1e-5, "stripes": 1e-7}[name]
    wanted = weight * loss(fake, real)
    np.testing.assert_allclose(losses[f"generator/{name}"], wanted, rtol=tolerance)


@pytest.mark.parametrize("count", [3, 5])
def test_the_first_feature_maps_are_compared_with_their_usual_weights(count, monkeypatch):
    import spade_tf.convert.vgg as vgg

    asked = []

    def load_vgg(weights, *, preprocessing, layers):
        asked.extend(layers)
        return lambda image: [image + index for index in range(len(layers))]

    monkeypatch.setattr(vgg, "load_vgg", load_vgg)
    config = Config()
    config.loss.perceptual_layers = count
    loss = assemble.make_perceptual_loss(config)
    assert asked == ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"][:count]
    zeros, ones = np.zeros((1, 2, 2, 3), "float32"), np.ones((1, 2, 2, 3), "float32")
    assert float(loss(zeros, ones)) == {3: 7 / 32, 5: 47 / 32}[count]


def test_efficientnet_lite0_needs_no_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = Config()
    config.loss.perceptual_network = "efficientnet_lite0"
    # Neither is looked at.
    config.loss.vgg_weights, config.loss.perceptual_layers = "none.pth", 2
    loss = assemble.make_perceptual_loss(config)
    rng = np.random.default_rng(0)
    real, fake = rng.uniform(-1, 1, (2, 2, 32, 32, 3)).astype("float32")
    network = load_efficientnet_lite(
        "lite0", weights="bundled", layers=["stage1", "stage2", "stage3"]
    )
    wanted = [
        0.07 * np.abs(a.numpy() - b.numpy()).mean()
        for a, b in zip(network(real), network(fake), strict=True)
    ]
    # float32 sums of some thousand numbers.
    np.testing.assert_allclose(loss(real, fake), sum(wanted), rtol=1e-5)
    image = tf.Variable(fake)
    with tf.GradientTape() as tape:
        value = loss(real, image)
    # Every pixel of the picture is looked at.
    assert np.abs(tape.gradient(value, image)).min() > 0


def test_damaged_weights_are_named_with_the_setting(monkeypatch, tmp_path):
    monkeypatch.setattr("spade_tf.convert.efficientnet_lite._BUNDLED", tmp_path / "no.npz")
    config = Config()
    config.loss.perceptual_network = "efficientnet_lite0"
    said = r"\A--config\.loss\.perceptual_network=efficientnet_lite0: .*perceptual_weight=0\Z"
    with pytest.raises(ConfigError, match=said):
        assemble.make_perceptual_loss(config)


@pytest.mark.parametrize("count", [0, 6])
def test_other_numbers_of_feature_maps_are_refused(count):
    config = Config()
    config.loss.perceptual_layers = count
    with pytest.raises(ConfigError, match=r"loss\.perceptual_layers=.*give 1 to 5"):
        validate(config)
