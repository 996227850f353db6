"""Checkpoints and options of pix2pixHD's own repository, as the SPADE release would name them.

Its global generator and its discriminators are those of the release under other names. A norm is
there a layer of its own behind its convolution, whose bias it takes away again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spade_tf.convert.errors import ConversionError
from spade_tf.convert.restricted_pickle import shown
from spade_tf.layers.normalization import BatchNorm
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator

__all__ = ["from_unit_range", "is_of_repository", "official_options", "official_state"]

State = Mapping[str, np.ndarray]

_RENAMED = {
    "n_downsample_global": "resnet_n_downsample",
    "n_blocks_global": "resnet_n_blocks",
}
# Its training, where its options do not say otherwise.
_TRAINING = {"gan_mode": "ls", "lr": 2e-4, "beta1": 0.5, "beta2": 0.999, "no_TTUR": True}
_ONLY_GLOBAL = "only the global generator (netG=global), trained without features, can be converted"


def official_options(
    given: Mapping[str, Any], source: str, of_repository: bool = False
) -> dict[str, Any]:
    """Options of the repository under the official names; others are left as they are.

    Args:
        given: options.
        source: of the options, as an error names it.
        of_repository: whether they are the repository's; if not, their names may say so.

    Raises:
        ConversionError: if they are of networks that cannot be converted.
    """
    options = dict(given)
    has_names = options.get("netG") in ("global", "local", "encoder") or any(
        name in options for name in _RENAMED
    )
    if not of_repository and not has_names:
        return options
    if options.get("netG", "global") not in ("global", "pix2pixhd"):
        what = {"local": "LocalEnhancer", "encoder": "feature encoder"}.get(options["netG"])
        raise ConversionError(
            f"{source}: netG={options['netG']!r} ({what or 'unknown'}): {_ONLY_GLOBAL}"
        )
    for name in ("instance_feat", "label_feat"):
        if options.get(name):
            raise ConversionError(f"{source}: {name}={options[name]} (features): {_ONLY_GLOBAL}")
    for name, official in _RENAMED.items():
        if name in options:
            options.setdefault(official, options.pop(name))
    if options.get("netG") != "pix2pixhd" and "n_layers_D" in options:
        # The layer of stride 1 is not counted there.
        options["n_layers_D"] = _count(options, "n_layers_D", source) + 1
    if "norm" in options:
        for name in ("norm_G", "norm_D"):
            options.setdefault(name, options["norm"])
    if _count(options, "label_nc", source, default=1) == 0:
        channels = _count(options, "input_nc", source, default=3)
        options["label_nc"] = options["condition_channels"] = channels
    if "crop_size" not in options:
        crops = "crop" in str(options.get("resize_or_crop", ""))
        options["crop_size"] = options.get("fineSize" if crops else "loadSize")
    if "no_lsgan" in options:
        options.setdefault("gan_mode", "original" if options["no_lsgan"] else "ls")
    # One weight for both there.
    options.setdefault("lambda_vgg", options.get("lambda_feat"))
    options |= {name: value for name, value in _TRAINING.items() if options.get(name) is None}
    options |= {"netG": "pix2pixhd"}
    options.setdefault("contain_dontcare_label", False)
    return {name: value for name, value in options.items() if value is not None}


def is_of_repository(net: str, state: State) -> bool:
    """Whether a state dict has the names of the repository's networks.

    Args:
        net: "G", "D" or "E".
        state: the state dict.
    """
    if net == "D":
        return any(re.match(r"(scale\d+_layer\d+|layer\d+)\.\d+\.", name) for name in state)
    # In the release, what follows model.1 is at model.3.
    plain = "model.1.weight" in state and not any(name.startswith("model.3.") for name in state)
    return plain and "model.4.weight" in state


def official_state(net: str, state: State, file: str) -> dict[str, np.ndarray]:
    """A state dict of the repository under the names of the SPADE release.

    The bias of a convolution before a norm is dropped, or, before batch norm, taken off its
    running mean: the norm does the same. What old releases of PyTorch kept of an instance norm
    without using it (`running_mean`, `running_var`) is dropped.

    Args:
        net: "G" or "D"; "E", its encoder of features, is refused.
        state: the state dict.
        file: of it, as an error names it.

    Raises:
        ConversionError: if the network cannot be converted, or a tensor belongs nowhere.
    """
    if net == "E":
        raise ConversionError(f"{file}: holds an encoder of features: {_ONLY_GLOBAL}")
    if any(re.match(r"model\d+_\d+\.", name) for name in state):
        raise ConversionError(f"{file}: holds a LocalEnhancer (netG=local): {_ONLY_GLOBAL}")
    converted: dict[str, np.ndarray] = {}
    taken: set[str] = set()
    for conv, norm, official in (_generator if net == "G" else _discriminator)(state):
        names = [name for name in state if name.rpartition(".")[0] in (conv, norm)]
        taken.update(names)
        converted |= _layer(state, conv, norm, official, file)
    extra = [name for name in state if name not in taken]
    if extra:
        raise ConversionError(
            f"{file}: tensor {shown(extra[0])} expected nowhere in the network; give a checkpoint "
            "of pix2pixHD's own repository as it wrote it"
        )
    return converted


def from_unit_range(generator: Pix2PixHDGenerator) -> None:
    """Makes a generator that took pictures of -1 to 1 in place of labels take them of 0 to 1.

    Since `2 x - 1` goes in, kernels of the first convolution are doubled, and what they make of
    -1 is put into the running mean of a batch norm; an instance norm takes it away. Exact, since
    this convolution is padded by reflection.

    Args:
        generator: of the repository, which has no spectral norm; changed in place.
    """
    kernel = generator.conv_in.kernel.numpy()
    norm = generator.norm_in.normalization
    if isinstance(norm, BatchNorm):
        norm.moving_mean.assign_add(kernel.sum(axis=(0, 1, 2)))
    generator.conv_in.kernel.assign(2.0 * kernel)


def _layer(
    state: State, conv: str, norm: str | None, official: str, file: str
) -> dict[str, np.ndarray]:
    if f"{conv}.weight" not in state:
        raise ConversionError(
            f"{file}: tensor {shown(conv + '.weight')} is not there; give a checkpoint of "
            "pix2pixHD's own repository as it wrote it"
        )
    names: tuple[str, ...] = ("weight", "bias")
    tensors = {name: state[f"{conv}.{name}"] for name in names if f"{conv}.{name}" in state}
    if norm is None:
        return {f"{official}.{name}": array for name, array in tensors.items()}
    renamed = {f"{official}.0.weight": tensors["weight"]}
    if f"{norm}.weight" not in state:
        return renamed
    names = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    for name in names:
        if f"{norm}.{name}" in state:
            renamed[f"{official}.1.{name}"] = state[f"{norm}.{name}"]
    mean = renamed.get(f"{official}.1.running_mean")
    if mean is not None and "bias" in tensors:
        if mean.shape != tensors["bias"].shape:
            raise ConversionError(
                f"{file}: tensor {shown(norm + '.running_mean')} has shape {mean.shape}, expected "
                f"that of {shown(conv + '.bias')}, {tensors['bias'].shape}"
            )
        renamed[f"{official}.1.running_mean"] = mean - tensors["bias"]
    return renamed


def _generator(state: State) -> Iterator[tuple[str, str | None, str]]:
    """Each convolution, the norm behind it if there is one, and the official name of both."""
    convs = sorted(
        int(match[1])
        for match in (re.fullmatch(r"model\.(\d+)\.weight", name) for name in state)
        if match and state[match[0]].ndim == 4
    )
    blocks = sorted({int(name.split(".")[1]) for name in state if ".conv_block." in name})
    last = convs.pop() if convs else -1
    # A norm and an activation follow each convolution here, in the release an activation.
    # Both count the padding in front of the first convolution and of the last.
    place = 1
    for index in sorted([*convs, *blocks]):
        if index in convs:
            yield f"model.{index}", f"model.{index + 1}", f"model.{place}"
            place += 2
        else:
            block = f"model.{index}.conv_block"
            for ours, theirs in ((1, 1), (5, 4)):
                official = f"model.{place}.conv_block.{theirs}"
                yield f"{block}.{ours}", f"{block}.{ours + 1}", official
            place += 1
    yield f"model.{last}", None, f"model.{place + 1}"


def _discriminator(state: State) -> Iterator[tuple[str, str | None, str]]:
    """As `_generator`. The finest scale is the last there, and the first in the release."""
    found: dict[int, list[str]] = {}
    for name, array in state.items():
        match = re.fullmatch(r"(?:scale(\d+)_layer\d+|layer(\d+))\.\d+\.weight", name)
        if match and array.ndim == 4:
            found.setdefault(int(match[1] or match[2]), []).append(name.rpartition(".")[0])
    for scale, convs in found.items():
        official = f"discriminator_{max(found) - scale}"
        convs.sort(key=lambda conv: [int(number) for number in re.findall(r"\d+", conv)])
        for index, conv in enumerate(convs):
            place = f"{official}.model{index}.0"
            head, _, number = conv.rpartition(".")
            norm = f"{head}.{int(number) + 1}" if 0 < index < len(convs) - 1 else None
            yield conv, norm, place


def _count(options: Mapping[str, Any], name: str, source: str, default: int = 0) -> int:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConversionError(f"{source}: {name}={value!r}; give a whole number of 0 or more")
    return value
