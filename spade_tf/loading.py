"""Trained models from files, whoever wrote them: Keras or this project's export."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

# All of the project's classes that a .keras file may hold register themselves when imported.
import spade_tf.layers
import spade_tf.losses.perceptual
import spade_tf.networks.alexnet
import spade_tf.networks.class_encoder
import spade_tf.networks.discriminator
import spade_tf.networks.efficientnet_lite
import spade_tf.networks.encoder
import spade_tf.networks.generator
import spade_tf.networks.inception
import spade_tf.networks.pix2pixhd
import spade_tf.networks.projected_discriminator
import spade_tf.networks.projected_segmentation
import spade_tf.networks.segmentation_discriminator
import spade_tf.networks.vgg
import spade_tf.training.gaugan
import spade_tf.training.schedules  # noqa: F401


class ModelFileError(ValueError):
    """A path that holds no model which can be loaded; the message is one line."""


class ExportedModel(keras.layers.TFSMLayer):
    """An export as a Keras layer, without the code that made it.

    Args:
        filepath: folder of a version, such as `saved_models/landscapes/1`.
        call_endpoint: name of the signature that is called. Default "serving_default".

    Call arguments:
        inputs: a mapping with the keys of the signature: `label` int32 `[B, H, W]`, and, for
            models that have them, `instance` int32 `[B, H, W]` and `seed` int64 `[B]`.

    Returns:
        A mapping: `image`, uint8 `[B, H, W, 3]`.

    Example:
        >>> from spade_tf import ExportedModel
        >>> model = ExportedModel("saved_models/landscapes/1")  # doctest: +SKIP
        >>> model({"label": label, "seed": seed})["image"].dtype  # doctest: +SKIP
        tf.uint8
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        call_endpoint: str = "serving_default",
        **kwargs: Any,
    ):
        super().__init__(str(filepath), call_endpoint=call_endpoint, **kwargs)

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        """Calls the signature; its own arguments are named, where Keras would pass one tensor."""
        return self.call_endpoint_fn(**inputs)


def load_model(path: str | os.PathLike[str]) -> keras.Model | ExportedModel:
    """Loads a `.keras` file or an export.

    Args:
        path: a `.keras` file that `model.save` wrote; or an export: the folder of a version
            (`saved_models/landscapes/1`) or of all versions (`saved_models/landscapes`), of which
            the newest is loaded.

    Returns:
        The Keras model of the file; or an `ExportedModel`, which takes a mapping and gives one.

    Raises:
        ModelFileError: for any other path, with what it is and what to do.

    Example:
        >>> import os, tempfile
        >>> from spade_tf import ConvEncoder, load_model
        >>> encoder = ConvEncoder(z_dim=4, filters=1, image_size=(16, 16), num_layers=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     encoder.save(os.path.join(folder, "encoder.keras"))
        ...     load_model(os.path.join(folder, "encoder.keras")).z_dim
        4
    """
    path = Path(path)
    if path.is_file() and path.suffix == ".keras":
        return keras.saving.load_model(path)
    if not path.exists():
        raise ModelFileError(f"{path}: no such file or folder")
    versions = [each for each in path.glob("[0-9]*/saved_model.pb") if each.parent.name.isdigit()]
    if versions and not (path / "saved_model.pb").is_file():
        path = max((each.parent for each in versions), key=lambda version: int(version.name))
    if (path / "saved_model.pb").is_file():
        return ExportedModel(path)
    if (path / "config.json").is_file():
        raise ModelFileError(f"{path}: the workdir of a training; export it and load the export")
    raise ModelFileError(f"{path}: neither a .keras file nor an export (no saved_model.pb in it)")
