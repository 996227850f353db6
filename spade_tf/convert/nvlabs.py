"""Checkpoints of the official SPADE release, read and written without PyTorch."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from spade_tf.convert.nvlabs_options import (
    ConversionError,
    Options,
    complete_options,
    given_options,
    norm_name,
)
from spade_tf.convert.nvlabs_tensors import official_tensors
from spade_tf.convert.restricted_pickle import shown
from spade_tf.convert.torch_file import TorchFileError, read_state_dict, write_state_dict
from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator

__all__ = ["ConversionError", "Networks", "Options", "load_networks", "read_options"]
__all__ += ["save_networks"]

_FILES = {net: f"latest_net_{net}.pth" for net in "GDE"}
# Written into the official networks, not an option of them.
_HIDDEN_FILTERS = 128
_ENCODER_SIZE = (256, 256)
_ENCODER_LAYERS = 6
_ENCODER_Z_DIM = 256


class Networks(NamedTuple):
    """The networks of a checkpoint, each None where it has no file.

    Attributes:
        generator: `(inputs, z=None, training=False) -> image`.
        discriminator: `(inputs, image, training=False) -> features`.
        encoder: `(image, training=False) -> (mu, logvar)`.
    """

    generator: SPADEGenerator | None
    discriminator: MultiscaleDiscriminator | None
    encoder: ConvEncoder | None


def load_networks(
    checkpoint_dir: str | os.PathLike[str],
    options: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    unknown_first: bool = False,
) -> Networks:
    """The networks of an official checkpoint.

    Reads `latest_net_G.pth`, `latest_net_D.pth` and `latest_net_E.pth`, in either file format of
    PyTorch, and can run nothing that a file holds. Every tensor of a file is used.

    Args:
        checkpoint_dir: folder of the files; not all three need be there.
        options: official options by their names, or a JSON file of them. Default the
            `options.json` of the folder. What is not given is read off the shapes in the files;
            see `complete_options` for the defaults of what shapes do not tell.
        unknown_first: whether the networks were trained with id 0 for unknown and `1..label_nc` for
            the classes. So are ADE20K's files, and the official release trains on them as they
            are. The label channels are then reordered to this project's (and the paper's) ids:
            `0..label_nc-1` for the classes, `label_nc` for unknown. Default False.

    Returns:
        The networks, with `num_labels = label_nc + contain_dontcare_label`.

    Raises:
        ConversionError: if a file is missing, damaged, hostile or of another architecture; the
            line names the file, the tensor, and what was expected.

    Reference: Park et al. 2019, https://arxiv.org/abs/1903.07291.
    """
    paths, states = _read(Path(checkpoint_dir))
    official = _complete(Path(checkpoint_dir), options, states)
    if unknown_first and not official.contain_dontcare_label:
        raise ConversionError(
            f"unknown_first=True: the options of {checkpoint_dir} have no unknown label; give "
            "contain_dontcare_label=true and label_nc if they should"
        )
    try:
        networks = Networks(
            _make_generator(official) if "G" in states else None,
            _make_discriminator(official) if "D" in states else None,
            _make_encoder(official) if "E" in states else None,
        )
    except ValueError as error:
        raise ConversionError(f"{checkpoint_dir}: {error}") from error
    for net, network in zip("GDE", networks, strict=True):
        if network is not None:
            _assign(network, states[net], paths[net], official, unknown_first)
    return networks


def read_options(
    checkpoint_dir: str | os.PathLike[str],
    options: Mapping[str, Any] | str | os.PathLike[str] | None = None,
) -> Options:
    """The options that `load_networks` makes networks by.

    Args:
        checkpoint_dir: as for `load_networks`.
        options: as for `load_networks`.

    Returns:
        The options: given, else read off the files, else defaults.

    Raises:
        ConversionError: as `load_networks`.
    """
    return _complete(Path(checkpoint_dir), options, _read(Path(checkpoint_dir))[1])


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
    written back bit by bit.

    Args:
        networks: those to write.
        output_dir: made if it is not there; must not hold such files yet.
        options: official options that the networks do not determine, such as `gan_mode`, to be
            written too; `contain_dontcare_label` is one of them (default False).
        unknown_first: undoes that of `load_networks`. Default False.
        legacy: writes the file format of PyTorch before 1.6, which every release reads.

    Raises:
        ConversionError: if a network has no official counterpart, or a file cannot be written.
    """
    folder = Path(output_dir)
    official = _official_options(networks, dict(options or {}))
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


def _complete(
    folder: Path,
    options: Mapping[str, Any] | str | os.PathLike[str] | None,
    states: Mapping[str, Mapping[str, np.ndarray]],
) -> Options:
    given, source = given_options(folder, options)
    files = {
        net: (str(folder / _FILES[net]), {name: array.shape for name, array in state.items()})
        for net, state in states.items()
    }
    return complete_options(given, source, files)


def _make_generator(options: Options) -> SPADEGenerator:
    spectral_norm, norm, kernel_size = options.generator_norm
    return SPADEGenerator(
        options.num_labels,
        image_size=options.image_size,
        use_instance_edges=not options.no_instance,
        filters=options.ngf,
        hidden_filters=_HIDDEN_FILTERS,
        kernel_size=kernel_size,
        norm=norm,
        num_upsampling_layers=options.num_upsampling_layers,
        z_dim=options.z_dim if options.use_vae else None,
        spectral_norm=spectral_norm,
        name="generator",
    )


def _make_discriminator(options: Options) -> MultiscaleDiscriminator:
    return MultiscaleDiscriminator(
        options.num_labels,
        use_instance_edges=not options.no_instance,
        num_scales=options.num_D,
        filters=options.ndf,
        num_layers=options.n_layers_D,
        name="discriminator",
    )


def _make_encoder(options: Options) -> ConvEncoder:
    return ConvEncoder(
        z_dim=options.z_dim,
        filters=options.ngf,
        image_size=_ENCODER_SIZE,
        num_layers=_ENCODER_LAYERS,
        name="encoder",
    )


def _assign(
    network: keras.Model,
    state: Mapping[str, np.ndarray],
    path: Path,
    options: Options,
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
        others = f" and {len(extra) - 1} others" if len(extra) > 1 else ""
        raise ConversionError(
            f"{path}: tensor {shown(extra[0])}{others} expected nowhere in the network; {remedy}"
        )
    for tensor in tensors:
        if tensor.name in state:
            tensor.assign(state[tensor.name])


def _official_options(networks: Networks, options: dict[str, Any]) -> dict[str, Any]:
    """The options of networks, added to those given."""
    generator, discriminator, encoder = networks
    kinds = (SPADEGenerator, MultiscaleDiscriminator, ConvEncoder)
    for network, kind, net in zip(networks, kinds, _FILES, strict=True):
        if network is not None and type(network) is not kind:
            raise ConversionError(
                f"a {type(network).__name__} has no official counterpart as net {net}; a "
                f"{kind.__name__} has"
            )
    has_unknown = bool(options.get("contain_dontcare_label", False))
    for network in (discriminator, generator):
        if network is None:
            continue
        classes = network.num_labels - has_unknown
        edges = network.use_instance_edges
        options |= {
            "label_nc": _same(options, "label_nc", classes),
            "contain_dontcare_label": has_unknown,
            "no_instance": _same(options, "no_instance", not edges),
            "semantic_nc": network.semantic_channels,
        }
    if discriminator is not None:
        options |= {
            "netD": "multiscale",
            "netD_subarch": "n_layer",
            "norm_D": "spectralinstance",
            "ndf": discriminator.filters,
            "num_D": discriminator.num_scales,
            "n_layers_D": discriminator.num_layers,
        }
    if encoder is not None:
        _require(encoder.image_size, _ENCODER_SIZE, "encoder's image_size")
        _require(encoder.num_layers, _ENCODER_LAYERS, "encoder's num_layers")
        _require(encoder.z_dim, _ENCODER_Z_DIM, "encoder's z_dim")
        options |= {
            "norm_E": "spectralinstance",
            "use_vae": True,
            "ngf": encoder.filters,
            "z_dim": encoder.z_dim,
        }
    if generator is not None:
        _require(generator.conditioning, "spade", "generator's conditioning")
        _require(generator.concat, None, "generator's concat")
        _require(generator.hidden_filters, _HIDDEN_FILTERS, "generator's hidden_filters")
        norm_g = norm_name(generator.spectral_norm, generator.norm, generator.kernel_size)
        if encoder is not None:
            _require(generator.z_dim, encoder.z_dim, "generator's z_dim")
            _require(encoder.filters, generator.filters, "encoder's filters")
        height, width = generator.image_size
        options |= {
            "netG": "spade",
            "norm_G": norm_g,
            "ngf": generator.filters,
            "num_upsampling_layers": generator.num_upsampling_layers,
            "use_vae": generator.z_dim is not None,
            "z_dim": generator.z_dim or _ENCODER_Z_DIM,
            "crop_size": width,
            "aspect_ratio": width / height,
            "output_nc": 3,
        }
    return options


def _same(options: Mapping[str, Any], name: str, value: Any) -> Any:
    if options.get(name, value) != value:
        raise ConversionError(
            f"{name}={options[name]}, but a network has {name}={value}; correct the option, or "
            "give generator and discriminator of one training"
        )
    return value


def _require(value: Any, official: Any, name: str) -> None:
    if value != official:
        raise ConversionError(f"{name}={value} has no official counterpart; {name}={official} has")
