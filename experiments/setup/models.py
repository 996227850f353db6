"""Models that make pictures: of a workdir, of an export, and on a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from experiments.setup.config import Config, ConfigError
from experiments.setup.data_dirs import data_dir_of
from experiments.setup.loss_networks import loss_networks
from experiments.setup.sizing import sizing_options
from experiments.setup.workdir import read_model


class NotFiniteError(ConfigError):
    """Pictures that hold NaN or infinity.

    Args:
        model: what was given as the model, such as `--model=runs/a`.
        index: int, the first such picture of the batch.
    """

    def __init__(self, model: str, index: int):
        super().__init__(
            f"{model}: the model makes NaN or infinity in place of a picture; its weights are "
            "broken, so train it again from an earlier checkpoint"
        )
        self.index = index


class WorkdirModel:
    """A training run: its newest checkpoint, with a fused generator if it can be fused.

    The networks are loaded when they are first used.

    Args:
        path: the workdir.
        flag: the flag that gave it. Errors name it.

    Raises:
        ConfigError: if it is no workdir, or holds no checkpoint.
    """

    def __init__(self, path: Path, flag: str = "--model"):
        from pipelines.schema import LabelSet

        content = read_model(path, flag)
        config = Config.from_dict(content["config"])
        self.labels = LabelSet.from_metadata(content["labels"])
        self.data_dir: str | None = data_dir_of(content, path)
        self.dataset, self.split = config.data.prepared, config.data.val_split
        self.use_canvas = config.data.use_canvas
        self.image_size = (config.data.height, config.data.width)
        self.sizing = sizing_options(config)
        self.class_style_dim = config.generator.class_style_dim
        self.z_dim = _style_length(config.generator.z_dim, self.class_style_dim, self.labels)
        self.use_instance = _sees_instances(config.data.use_instance, self.labels)
        self.has_encoder = config.encoder.enabled
        self.loss_networks = loss_networks(content["config"])
        self._path, self._given = path, f"{flag}={path}"

    @cached_property
    def _networks(self):
        """What `generate` calls, whether it takes as many maps as styles, and the encoder."""
        import tensorflow as tf

        from experiments.setup.trained_model import load_workdir
        from spade_tf.export.forms import inference_form
        from spade_tf.networks.styles import split_style

        model = load_workdir(self._path)
        generator = inference_form(model.generator)

        def call(inputs, style):
            z, class_styles = split_style(generator, style)
            if class_styles is not None:
                inputs = {**inputs, "class_styles": class_styles}
            return generator(inputs, z=z, training=False)

        function = tf.function(call, reduce_retracing=True, autograph=False)
        # A fused generator takes one label map for many styles, unless they are of its classes.
        repeats = generator is model.generator or bool(self.class_style_dim)
        return function, repeats, model.encoder

    def generate(self, maps, z):
        """Pictures of maps; see `Model`."""
        import tensorflow as tf

        from spade_tf.training.pictures import to_uint8

        function, repeats, _ = self._networks
        given = _inputs(maps, self.use_instance, self.use_canvas)
        count, styles = len(next(iter(given.values()))), 1 if z is None else z.shape[1]
        times = 1 if count == 1 and not repeats else styles
        inputs = {name: tf.repeat(tf.constant(each), times, 0) for name, each in given.items()}
        flat = None if z is None else tf.constant(z.reshape(-1, z.shape[-1]), tf.float32)
        made = function(inputs, flat).numpy()
        made = made.reshape(count, styles, *made.shape[1:])
        check_finite(made, self._given)
        return to_uint8(made)

    def encode(self, image, label=None):
        """Styles of photographs; see `Model`."""
        *_, encoder = self._networks
        if encoder is None:
            raise ConfigError("this model has no encoder")
        if not self.class_style_dim:
            return encoder(image, training=False)[0].numpy()
        if label is None:
            label = np.ones((*image.shape[:3], self.labels.num_ids), np.float32)
        return encoder(image, label, training=False)[0].numpy()


class ExportedModel:
    """An export, in this process or on a server.

    Args:
        content: content of its asset `config.json`.
        directory: folder from which its data set is searched.
        predict: function from the name of a signature and arrays by key to arrays by key.

    Raises:
        LookupError, TypeError, ValueError: if `content` does not describe an export.
    """

    def __init__(
        self,
        content: Mapping[str, Any],
        directory: Path,
        predict: Callable[[str, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
    ):
        from pipelines.schema import LabelSet

        config = content["config"]
        self.labels = LabelSet.from_metadata(content["labels"])
        # Exports of earlier releases say where their data set was.
        self.data_dir = data_dir_of(content, directory) if "data_dir" in content else None
        self.dataset, self.split = config["data"]["dataset"], config["data"]["val_split"]
        # Models that see a canvas are not exported.
        self.use_canvas = False
        self.image_size = (config["data"]["height"], config["data"]["width"])
        self._own_z_dim = config["generator"]["z_dim"]
        # Exports of earlier releases do not speak of styles of classes.
        self.class_style_dim = config["generator"].get("class_style_dim", 0)
        self.z_dim = _style_length(self._own_z_dim, self.class_style_dim, self.labels)
        self.sizing = sizing_options(config)
        self.use_instance = _sees_instances(config["data"]["use_instance"], self.labels)
        self.has_encoder = config["encoder"]["enabled"]
        self.loss_networks = loss_networks(config)
        self._predict = predict

    def generate(self, maps, z):
        """Pictures of maps; see `Model`."""
        inputs = _inputs(maps, self.use_instance, self.use_canvas)
        if self.z_dim is None:
            return self._predict("serving_default", inputs)["image"][:, None]
        z = np.asarray(z, np.float32)
        if z.shape[1] == 1:
            # All maps at once. `generate_styles` makes the pictures of one map after another, so
            # that what depends on the map alone is computed once for all its styles.
            inputs |= self._parts(z[:, 0])
            return self._predict("generate_with_style", inputs)["image"][:, None]
        return self._predict("generate_styles", inputs | self._parts(z))["image"]

    def _parts(self, styles):
        """Whole styles `[..., z_dim]` as the inputs of signatures."""
        parts = {"z": styles[..., : self._own_z_dim]} if self._own_z_dim else {}
        if self.class_style_dim:
            shape = (*styles.shape[:-1], self.labels.num_ids, self.class_style_dim)
            parts["class_styles"] = styles[..., self._own_z_dim :].reshape(shape)
        return parts

    def encode(self, image, label=None):
        """Styles of photographs; see `Model`."""
        from spade_tf.training.pictures import encode_png, to_uint8

        # Pixels are whole numbers, so a PNG loses nothing.
        files = [*(encode_png(picture) for picture in to_uint8(image)), None]
        inputs = {"image_bytes": np.array(files, object)[:-1]}
        if self.class_style_dim:
            # What stands for no label map.
            absent = np.full((len(image), 1, 1), -1)
            inputs["label"] = np.asarray(absent if label is None else label, np.int32)
        parts = self._predict("encode_style", inputs)
        styles = [parts[key] for key in ("z", "class_styles") if key in parts]
        return np.concatenate([each.reshape(len(image), -1) for each in styles], 1)


class SavedModel(ExportedModel):
    """An export in a folder.

    Args:
        path: folder of one version.
        flag: the flag that gave it. Errors name it.

    Raises:
        ConfigError: if it is not an export of this project.
    """

    def __init__(self, path: Path, flag: str = "--model"):
        self._path, self._given = path, f"{flag}={path}"
        try:
            content = json.loads((path / "assets" / "config.json").read_text())
            super().__init__(content, path.parent, self._call)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ConfigError(f"{self._given}: not an export of this project ({error})") from error

    @cached_property
    def _predictor(self):
        from spade_tf.serving.errors import ServingError
        from spade_tf.serving.model.predictor import Predictor

        try:
            return Predictor(self._path)
        except ServingError as error:
            reason = str(error).removeprefix(f"--model={self._path}: ")
            raise ConfigError(f"{self._given}: {reason}; export the model again") from error

    def _call(self, name, inputs):
        from spade_tf.serving.errors import BadRequestError

        try:
            return self._predictor.run(name, inputs)
        except BadRequestError as error:
            # A check in the graph of the export, such as the one for NaN.
            raise ConfigError(f"{self._given}: {error}") from error


class RemoteModel(ExportedModel):
    """An export on a server.

    Args:
        endpoint: `grpc://HOST:PORT` or `http://HOST:PORT`.
        model_name: the server's name for it.

    Raises:
        ServingError: if the server does not answer, or has no such model.
        ConfigError: if the model is not an export of this project.
    """

    def __init__(self, endpoint: str, model_name: str):
        from spade_tf.serving.client.client import connect
        from spade_tf.serving.errors import ServingError

        client = connect(endpoint, model_name)
        try:
            content = json.loads(client.describe("config.json"))
            super().__init__(content, Path.cwd(), client.predict)
        except ServingError:
            raise
        except (ValueError, LookupError, TypeError) as error:
            raise ConfigError(
                f"--endpoint={endpoint}: {model_name} is not an export of this project ({error})"
            ) from error

    def encode(self, image, label=None):
        """Styles of photographs; see `Model`.

        Photographs are first scaled as the export scales them, so that large ones need not be sent.
        """
        import tensorflow as tf

        if image.shape[1:3] != self.image_size:
            image = tf.image.resize(image, self.image_size, "bilinear").numpy()
        return super().encode(image, label)


def _inputs(maps, use_instance, use_canvas):
    """A batch of maps. If a model sees instances but gets none, all pixels are one instance."""
    if use_canvas != ("canvas" in maps):
        if use_canvas:
            raise ConfigError("this model sees a canvas beside each label map, and got none")
        maps = {key: value for key, value in maps.items() if key != "canvas"}
    inputs = {
        key: np.asarray(value, np.float32 if key in ("condition", "canvas") else np.int32)
        for key, value in maps.items()
        if key != "instance"
    }
    if use_instance:
        shape = next(iter(inputs.values())).shape[:3]
        inputs["instance"] = np.asarray(maps.get("instance", np.zeros(shape)), np.int32)
    return inputs


def _style_length(z_dim, class_style_dim, labels):
    return z_dim + class_style_dim * labels.num_ids or None


def _sees_instances(wanted, labels):
    return labels.has_instance if wanted is None else wanted


def check_finite(pictures: np.ndarray, model: str) -> None:
    """Raises a NotFiniteError if one of `[B, …]` is not finite."""
    finite = np.isfinite(pictures).reshape(len(pictures), -1).all(axis=1)
    if not finite.all():
        raise NotFiniteError(model, int(np.argmin(finite)))
