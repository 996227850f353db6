"""Models that are asked for pictures."""

import pytest

from experiments.models import RemoteModel
from experiments.schema import ConfigError


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
    monkeypatch.setattr("spade_tf.serving.client.connect", lambda *_: Client(text))
    with pytest.raises(ConfigError, match="http://a:1: other is no export of this project"):
        RemoteModel("http://a:1", "other")
