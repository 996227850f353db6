"""Convolutions of PyTorch state dicts, with their batch norms folded in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spade_tf.convert.errors import WeightsError
from spade_tf.convert.torch_file import TorchFileError, read_state_dict

_BATCH_NORM_EPSILON = 1e-3


def read_tensors(path: str) -> Mapping[str, np.ndarray]:
    """The tensors of a state dict by name.

    Args:
        path: of the `.pth` file.

    Raises:
        WeightsError: in one line, if it cannot be read.
    """
    try:
        return read_state_dict(path)
    except TorchFileError as error:
        raise WeightsError(str(error)) from error
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error


def folded_convolution(
    tensors: Mapping[str, np.ndarray],
    conv: str,
    norm: str,
    shape: tuple[int, ...],
    path: str,
    *,
    depthwise: bool = False,
) -> list[np.ndarray]:
    """A convolution without bias and the batch norm (epsilon 1e-3) behind it, as one convolution.

    `kernel · γ / sqrt(var + ε)` and `β - mean · γ / sqrt(var + ε)`.

    Args:
        tensors: of `read_tensors`.
        conv: name of the convolution, such as `"stem.conv"`.
        norm: name of the batch norm.
        shape: `(H, W, I, O)` of the kernel, or `(H, W, C, 1)` of a depthwise one.
        path: of the file, for errors.
        depthwise: whether the convolution is depthwise.

    Returns:
        The kernel in that shape, and the bias.

    Raises:
        WeightsError: naming a tensor that is missing or of another shape.
    """
    # Torch has [O, I, H, W], and [C, 1, H, W] for depthwise convolutions.
    filters = shape[2] if depthwise else shape[3]
    stored = (filters, 1 if depthwise else shape[2], *shape[:2])
    kernel = _tensor(tensors, f"{conv}.weight", stored, path)
    scale, shift, mean, variance = (
        _tensor(tensors, f"{norm}.{kind}", (filters,), path)
        for kind in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + _BATCH_NORM_EPSILON)
    axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
    return [(kernel * factor[:, None, None, None]).transpose(axes), shift - mean * factor]


def _tensor(
    tensors: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], path: str
) -> np.ndarray:
    tensor = tensors.get(name)
    if tensor is None or tensor.shape != shape:
        has = "none" if tensor is None else f"shape {tensor.shape}"
        raise WeightsError(f"{path}: tensor {name} must have shape {shape}; the file has {has}")
    # Folding in double precision rounds once, at the end.
    return tensor.astype(np.float64)
