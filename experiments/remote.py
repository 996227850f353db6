"""A model on a server, to make pictures with."""

from __future__ import annotations

import json

import numpy as np

from experiments.schema import ConfigError
from pipelines.schema import LabelSet
from spade_tf.serving.client import connect
from spade_tf.training.pictures import encode_png, to_uint8


class RemoteModel:
    """A model that a server serves, as `generate` asks for it.

    Args:
        endpoint: `grpc://HOST:PORT` or `http://HOST:PORT`.
        model_name: as the server knows it.

    Raises:
        ServingError: if the server cannot be asked, or knows no such model.
        ConfigError: if the model is no export of this project.
    """

    def __init__(self, endpoint: str, model_name: str):
        self._client = connect(endpoint, model_name)
        try:
            content = json.loads(self._client.describe("config.json"))
            config = content["config"]
            self.labels = LabelSet.from_metadata(content["labels"])
        except (LookupError, TypeError) as error:
            raise ConfigError(
                f"--endpoint={endpoint}: {model_name} is no export of this project ({error})"
            ) from error
        self.data_dir = content["data_dir"]
        self.dataset, self.split = config["data"]["dataset"], config["data"]["val_split"]
        self.image_size = (config["data"]["height"], config["data"]["width"])
        self.z_dim = config["generator"]["z_dim"] or None
        self.use_instance = config["data"]["use_instance"]
        self.has_encoder = config["encoder"]["enabled"]

    def generate(self, label, instance, z):
        """Pictures float32 `[B, H, W, 3]` in [-1, 1], of 256 levels."""
        inputs = {"label": np.asarray(label, np.int32)}
        if self.use_instance:
            absent = np.zeros([len(label), 1, 1], np.int32)
            inputs["instance"] = absent if instance is None else np.asarray(instance, np.int32)
        signature = "serving_default"
        if self.z_dim is not None:
            signature, inputs["z"] = "generate_with_style", np.asarray(z, np.float32)
        image = self._client.predict(signature, inputs)["image"]
        return image.astype(np.float32) / 127.5 - 1.0

    def encode(self, image):
        """Styles float32 `[B, z_dim]`."""
        files = [*(encode_png(picture) for picture in to_uint8(image)), None]
        return self._client.predict("encode_style", {"image_bytes": np.array(files, object)[:-1]})[
            "z"
        ]
