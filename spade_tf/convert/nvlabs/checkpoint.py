"""Checkpoints of the official SPADE release, read and written without PyTorch.

Those of pix2pixHD's own repository are read as well.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from spade_tf.convert.nvlabs.complete_options import (
    ConversionError,
    Options,
    Pix2PixHDOptions,
    complete_options,
    given_options,
)
from spade_tf.convert.nvlabs.networks import Networks, make_networks, options_of
from spade_tf.convert.nvlabs.pix2pixhd_repository import is_of_repository, official_state
from spade_tf.convert.nvlabs.tensors import official_tensors
from spade_tf.convert.restricted_pickle import shown
from spade_tf.convert.torch_file import TorchFileError, read_state_dict
from spade_tf.convert.torch_file_writing import write_state_dict

__all__ = ["Checkpoint", "ConversionError", "Networks", "Options", "Pix2PixHDOptions"]
__all__ += ["load_checkpoint", "load_networks", "read_options", "save_networks"]

_FILES = {net: f"latest_net_{net}.pth" for net in "GDE"}


class Checkpoint(NamedTuple):
    """A checkpoint, read.

    Attributes:
        networks: its networks.
        options: the options that determine them.
        given: all options that were given, under the official names.
    """

    networks: Networks
    options: Options | Pix2PixHDOptions
    given: dict[str, Any]


def load_networks(
    checkpoint_dir: str | os.PathLike[str],
    options: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    unknown_first: bool = False,
) -> Networks:
    """The networks of an official checkpoint.

    Reads `latest_net_G.pth`, `latest_net_D.pth` and `latest_net_E.pth`, in either file format of
    PyTorch, and can run nothing that a file holds. Every tensor of a file is used. `netG` may be
    "spade" or "pix2pixhd".

    Checkpoints of pix2pixHD's own repository (`netG=global`) are told by the names of their
    tensors, and read as those of `netG=pix2pixhd`. With `label_nc=0` their networks take a picture
    in [-1, 1] in place of labels.

    Args:
        checkpoint_dir: folder of the files; not all three need be there.
        options: official options by their names, or a JSON file of them, or the `opt.txt` that
            training wrote. Default the `options.json` of the folder, or its `opt.txt`. What is not
            given is read off the shapes in the files; see `complete_options` for the defaults of
            what shapes do not tell.
        unknown_first: whether the networks were trained with id 0 for unknown and `1..label_nc` for
            the classes. So are ADE20K's files, and the official release trains on them as they
            are. The label channels are then reordered to this project's (and the paper's) ids:
            `0..label_nc-1` for the classes, `label_nc` for unknown. Default False.

    Returns:
        The networks, with `num_labels = label_nc + contain_dontcare_label`.

    Raises:
        ConversionError: if a file is missing, damaged, hostile or of another architecture; the
            line names the file, the tensor, and what was expected.

    Reference: Park et al. 2019, https://arxiv.org/abs/1903.07291; Wang et al. 2018,
        https://arxiv.org/abs/1711.11585.

    Example:
        >>> from spade_tf.convert import load_networks
        >>> networks = load_networks("checkpoints/coco_pretrained")  # doctest: +SKIP
    """
    return load_checkpoint(checkpoint_dir, options, unknown_first=unknown_first).networks


def load_checkpoint(
    checkpoint_dir: str | os.PathLike[str],
    options: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    unknown_first: bool = False,
) -> Checkpoint:
    """The networks of an official checkpoint, with its options.

    Args:
        checkpoint_dir: as for `load_networks`.
        options: as for `load_networks`.
        unknown_first: as for `load_networks`.

    Raises:
        ConversionError: as `load_networks`.

    Example:
        >>> from spade_tf.convert import load_checkpoint
        >>> checkpoint = load_checkpoint("checkpoints/coco_pretrained")  # doctest: +SKIP
    """
    folder = Path(checkpoint_dir)
    paths, states, given, official = _open(folder, options)
    if unknown_first and not official.contain_dontcare_label:
        raise ConversionError(
            f"unknown_first=True: the options of {checkpoint_dir} have no unknown label; give "
            "contain_dontcare_label=true and label_nc if they should"
        )
    if "E" in states and isinstance(official, Pix2PixHDOptions):
        raise ConversionError(
            f"{paths['E']}: netG=pix2pixhd takes no style vector; move the file away to convert "
            "the rest"
        )
    try:
        networks = make_networks(official, "".join(states))
    except ValueError as error:
        raise ConversionError(f"{checkpoint_dir}: {error}") from error
    for net, network in zip("GDE", networks, strict=True):
        if network is not None:
            _assign(network, states[net], paths[net], official, unknown_first)
    return Checkpoint(networks, official, given)


def read_options(
    checkpoint_dir: str | os.PathLike[str],
    options: Mapping[str, Any] | str | os.PathLike[str] | None = None,
) -> Options | Pix2PixHDOptions:
    """The options that `load_networks` makes networks by.

    Args:
        checkpoint_dir: as for `load_networks`.
        options: as for `load_networks`.

    Returns:
        The options: given, else read off the files, else defaults.

    Raises:
        ConversionError: as `load_networks`.
    """
    return _open(Path(checkpoint_dir), options)[3]


def save_networks(
    networks: Networks,
    output_dir: str | os.PathLike[str],
    *,
    options: Mapping[str, Any] | None = None,
    unknown_first: bool = False,
    legacy: bool = False,
) -> None:
    """Writes networks as the official release's state dicts, and `options.json` beside them.

    Names, shapes and order of the tensors are the official ones. What `load_networks` has read is
    written back bit by bit. (What it has read of pix2pixHD's own repository is written as the
    release's `netG=pix2pixhd`.)

    Args:
        networks: those to write.
        output_dir: made if it is not there; must not hold such files yet.
        options: official options that the networks do not determine, such as `gan_mode`, to be
            written too; `contain_dontcare_label` is one of them (default False).
        unknown_first: undoes that of `load_networks`. Default False.
        legacy: writes the file format of PyTorch before 1.6, which every release reads.

    Raises:
        ConversionError: if a network has no official counterpart, or a file cannot be written.

    Example:
        >>> from spade_tf.convert import save_networks
        >>> save_networks(networks, "checkpoints/mine")  # doctest: +SKIP
    """
    folder = Path(output_dir)
    official = options_of(networks, options or {})
    if unknown_first and not official.get("contain_dontcare_label"):
        raise ConversionError("unknown_first=True: needs the option contain_dontcare_label=true")
    taken = [name for name in (*_FILES.values(), "options.json") if (folder / name).exists()]
    if taken:
        raise ConversionError(f"{folder / taken[0]}: is already there; choose another folder")
    contents = {
        net: {tensor.name: tensor.read() for tensor in official_tensors(network, unknown_first)}
        for net, network in zip("GDE", networks, strict=True)
        if network is not None
    }
    temporary = folder / f".options.json.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for net, state in contents.items():
            write_state_dict(folder / _FILES[net], state, legacy=legacy)
        temporary.write_text(json.dumps(official, indent=1, sort_keys=True) + "\n")
        os.replace(temporary, folder / "options.json")
    except TorchFileError as error:
        raise ConversionError(str(error)) from error
    except OSError as error:
        raise ConversionError(f"{folder}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _open(
    folder: Path, options: Mapping[str, Any] | str | os.PathLike[str] | None
) -> tuple[
    dict[str, Path],
    dict[str, dict[str, np.ndarray]],
    dict[str, Any],
    Options | Pix2PixHDOptions,
]:
    """Paths and tensors of each network, the options given, and the options that determine all."""
    paths, states = _read(folder)
    of_repository = any(is_of_repository(net, state) for net, state in states.items())
    given, source = given_options(folder, options, of_pix2pixhd_repository=of_repository)
    for net, state in states.items():
        if is_of_repository(net, state):
            states[net] = official_state(net, state, str(paths[net]))
    files = {
        net: (str(paths[net]), {name: array.shape for name, array in state.items()})
        for net, state in states.items()
    }
    return paths, states, given, complete_options(given, source, files)


def _read(folder: Path) -> tuple[dict[str, Path], dict[str, dict[str, np.ndarray]]]:
    paths = {net: folder / name for net, name in _FILES.items() if (folder / name).exists()}
    if not paths:
        state = (
            "no such folder" if not folder.is_dir() else f"no {', '.join(_FILES.values())} in it"
        )
        raise ConversionError(
            f"{folder}: {state}; give the folder of a checkpoint of the official release"
        )
    try:
        return paths, {net: read_state_dict(path) for net, path in paths.items()}
    except TorchFileError as error:
        raise ConversionError(str(error)) from error


def _assign(
    network: keras.Model,
    state: Mapping[str, np.ndarray],
    path: Path,
    options: Options | Pix2PixHDOptions,
    unknown_first: bool,
) -> None:
    tensors = official_tensors(network, unknown_first)
    described = ", ".join(f"{name}={value}" for name, value in options._asdict().items())
    remedy = f"correct the options, or give an official checkpoint of these: {described}"
    for tensor in tensors:
        array = state.get(tensor.name)
        if array is None and tensor.is_optional:
            continue
        if array is None or array.shape != tensor.shape:
            has = "is not there" if array is None else f"has shape {array.shape}"
            raise ConversionError(
                f"{path}: tensor {tensor.name!r} {has}, expected {tensor.shape}; {remedy}"
            )
        wanted = np.integer if tensor.is_optional else np.floating
        if not np.issubdtype(array.dtype, wanted):
            raise ConversionError(
                f"{path}: tensor {tensor.name!r} holds {array.dtype}, expected "
                f"{wanted.__name__} numbers; save the network's state dict again"
            )
    extra = [name for name in state if name not in {tensor.name for tensor in tensors}]
    if extra:
        count = len(extra) - 1
        others = f" and {count} other{'s' * (count > 1)}" if count else ""
        raise ConversionError(
            f"{path}: tensor {shown(extra[0])}{others} expected nowhere in the network; {remedy}"
        )
    for tensor in tensors:
        if tensor.name in state:
            tensor.assign(state[tensor.name])
