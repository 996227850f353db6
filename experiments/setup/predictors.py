"""Finds the model to make pictures with, and makes them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from experiments.setup.config import ConfigError
from experiments.setup.edge_models import EdgeModel
from experiments.setup.models import (
    NotFiniteError,
    RemoteModel,
    SavedModel,
    WorkdirModel,
)


class Model(Protocol):
    """A model that makes pictures.

    Attributes:
        labels: its label set.
        image_size: (height, width) of its pictures in training.
        sizing: how maps and photographs get their size; see `experiments.setup.sizing`.
        z_dim: int, length of whole styles: that of the picture, and those of all classes after it;
            or None.
        class_style_dim: int, length of the style of a class; 0 for none.
        use_instance: bool, whether it sees instance edges.
        use_canvas: bool, whether it sees a canvas beside the label map.
        has_encoder: bool, whether it can take the style of a photograph.
        data_dir: folder of the data set that it was trained on; None if unknown.
        dataset: name of that data set.
        split: the held-out split.
        loss_networks: networks on whose features it was trained.
    """

    labels: Any
    image_size: tuple[int, int]
    sizing: dict[str, Any]
    z_dim: int | None
    class_style_dim: int
    use_instance: bool
    use_canvas: bool
    has_encoder: bool
    data_dir: str | None
    dataset: str
    split: str
    loss_networks: tuple[str, ...]

    def generate(self, maps: Mapping[str, np.ndarray], z: np.ndarray | None) -> np.ndarray:
        """Makes pictures of maps. Work that depends only on a map is done once for all its styles.

        Args:
            maps: `label` `[B, H, W]`, ids, or `condition` `[B, H, W, C]`, 0 to 1; and `instance`
                `[B, H, W]`, ids, and `canvas` `[B, H, W, 4]`, 0 to 1, if there are any.
            z: `[B, K, z_dim]`, or None for a model without styles, which makes one picture of each.

        Returns:
            uint8 `[B, K, H, W, 3]`.
        """

    def encode(self, image: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """Styles `[B, z_dim]` of photographs.

        Args:
            image: `[B, H, W, 3]` in [-1, 1].
            label: their label maps, int `[B, H, W]`, which models with styles of classes look at;
                None where there are none: all of a photograph counts for every class.
        """


def load_model(path: str | os.PathLike[str], flag: str = "--model") -> Model:
    """Loads a training run or an export, whichever the folder holds.

    Args:
        path: the folder; or a LiteRT generator, a file.
        flag: the flag that gave it. Errors name it.

    Raises:
        ConfigError: if it holds neither.
        CheckpointError: if the checkpoint does not fit.
    """
    path = Path(path)
    if path.suffix == ".tflite" and path.is_file():
        return EdgeModel(path, flag)
    if not path.is_dir():
        kind = "file" if path.suffix == ".tflite" else "folder"
        raise ConfigError(f"{flag}={path}: no such {kind}")
    if (path / "config.json").exists():
        return WorkdirModel(path, flag)
    versions = sorted((int(p.name) for p in path.iterdir() if p.name.isdecimal()), reverse=True)
    for candidate in [path, *(path / str(version) for version in versions)]:
        if (candidate / "saved_model.pb").exists():
            return SavedModel(candidate, flag)
    if any(path.rglob("generator_*.tflite")):
        raise ConfigError(
            f"{flag}={path}: a folder of LiteRT files; give one of them, such as "
            "generator_float16.tflite"
        )
    raise ConfigError(
        f"{flag}={path}: neither the workdir of a training (no config.json) nor a SavedModel "
        "(no saved_model.pb)"
    )


def find_model(
    model: str | os.PathLike[str] | None, endpoint: str | None, model_name: str | None
) -> Model:
    """The model of a folder, or the one that a server serves.

    Args:
        model: a workdir or an export; None with an `endpoint`.
        endpoint: `grpc://HOST:PORT` or `http://HOST:PORT`, or None.
        model_name: name of the model on that server.

    Raises:
        ConfigError: if none or both are given, or it is no model of this project.
        ServingError: if the server does not answer.
    """
    if model is not None and endpoint is None:
        return load_model(model)
    if endpoint is None or model is not None:
        raise ConfigError("--model or --endpoint: give one of the two")
    if not model_name:
        raise ConfigError(f"--endpoint={endpoint}: give --model_name, as the server knows it")
    return RemoteModel(endpoint, model_name)


def make_pictures(
    model: Model, names: Sequence[str], maps: Mapping[str, np.ndarray], z: np.ndarray | None
) -> np.ndarray:
    """Calls `Model.generate`, and names the map whose picture is no picture.

    Args:
        model: the model.
        names: of the maps.
        maps: as of `Model.generate`.
        z: as of `Model.generate`.

    Raises:
        ConfigError: if the model makes NaN or infinity.
    """
    try:
        return model.generate(maps, z)
    except NotFiniteError as error:
        raise ConfigError(f"{error} (first for the map {names[error.index]})") from error
