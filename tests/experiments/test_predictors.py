"""Models that make pictures."""

import io

import numpy as np
import pytest
from PIL import Image
from tiny_experiment import get_config

from experiments.setup.assemble import make_gaugan
from experiments.setup.config import ConfigError
from experiments.setup.networks import make_discriminator
from experiments.setup.predictors import RemoteModel
from pipelines.schema import LabelSet


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
def test_a_server_is_sent_photographs_of_the_size_of_its_encoder(size):
    """12 megapixels are more than a request may hold, and the encoder sees few of them."""
    sent = {}

    def predict(signature, inputs):
        sent[signature] = inputs["image_bytes"][0]
        return {"z": np.zeros([1, 4], np.float32)}

    model = RemoteModel.__new__(RemoteModel)
    model.image_size, model._predict = (32, 48), predict
    ramp = np.linspace(-1, 1, size[1], dtype=np.float32)
    model.encode(np.broadcast_to(ramp[None, None, :, None], [1, *size, 3]))
    with Image.open(io.BytesIO(sent["encode_style"])) as image:
        assert (image.height, image.width) == (32, 48)
        row = np.asarray(image)[16, :, 0] / 127.5 - 1.0
    # Scaled, not cut: from one end of the ramp to the other, evenly to a level of 256.
    assert np.abs(row - np.linspace(row[0], row[-1], 48)).max() < 2 / 127.5
    assert row[0] < -0.95
    assert row[-1] > 0.95


def test_the_discriminator_of_a_training_is_what_is_made_from_its_configuration():
    """As pix2pixHD's has it, so that `--init_from` finds the same weights."""
    config = get_config()
    config.discriminator.norm = "batch"
    config.discriminator.spectral_norm = False
    labels = LabelSet(("sky", "sea"), ((0, 0, 255), (0, 255, 0)), False, False)
    alone = make_discriminator(config, labels)
    assert alone.norm == "batch"
    assert alone.spectral_norm is False
    assert make_gaugan(config, labels).discriminator.get_config() == alone.get_config()
