"""The official options of a checkpoint: those given, and those that its files tell."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from spade_tf.convert.errors import ConversionError
from spade_tf.convert.nvlabs.norm_names import (
    norm_name,
    parse_norm,
    parse_plain_norm,
    plain_norm_name,
)
from spade_tf.convert.nvlabs.option_file import read_option_file
from spade_tf.convert.nvlabs.options import Options, Pix2PixHDOptions, image_size
from spade_tf.convert.nvlabs.pix2pixhd_repository import official_options
from spade_tf.convert.nvlabs.shapes import Evidence, Shapes
from spade_tf.networks.generator import UPSAMPLINGS

__all__ = ["ConversionError", "Options", "Pix2PixHDOptions"]
__all__ += ["complete_options", "given_options", "norm_name"]

# Three data sets of the paper are known by their channels: classes, unknown, instance edges.
_KNOWN_LABELS = {184: (182, True, True), 151: (150, True, False), 36: (35, False, True)}
# What these decide is written into the networks here, so that another value cannot be had.
_FIXED = {
    "netD": "multiscale",
    "netD_subarch": "n_layer",
    "norm_E": "spectralinstance",
    "output_nc": 3,
}
_GENERATORS = ("spade", "pix2pixhd")
_WANTED = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
# Options that are counts of what there may be none of.
_MAY_BE_ZERO = ("resnet_n_blocks",)


def given_options(
    checkpoint_dir: Path,
    options: Mapping[str, Any] | str | os.PathLike[str] | None,
    *,
    of_pix2pixhd_repository: bool = False,
) -> tuple[dict[str, Any], str]:
    """Official options as a user gives them, and where they come from.

    Args:
        checkpoint_dir: where an `options.json` or `opt.txt` may be.
        options: the options themselves; or a file of them, JSON or `opt.txt` as training wrote it;
            or None for the `options.json` of the directory, or its `opt.txt`, or for nothing where
            there is neither.
        of_pix2pixhd_repository: whether the networks are of pix2pixHD's own repository, whose
            options are then translated. Default: if the options themselves say so.

    Returns:
        The options, and their source as an error names it. A value of None counts as not given.

    Raises:
        ConversionError: if the file cannot be read, or a value has the wrong type.
    """
    given, source = _read(checkpoint_dir, options)
    given = {name: value for name, value in given.items() if value is not None}
    given = official_options(given, source, of_pix2pixhd_repository)
    hints = get_type_hints(Options) | get_type_hints(Pix2PixHDOptions)
    hints |= {"semantic_nc": int, "condition_channels": int}
    for name, kind in hints.items():
        value = given.get(name)
        if value is None:
            continue
        is_number = kind in (int, float)
        if (
            not isinstance(value, (int, float) if kind is float else kind)
            or (is_number and isinstance(value, bool))
            or (is_number and not 0 <= value < math.inf)
            or (is_number and value == 0 and name not in _MAY_BE_ZERO)
        ):
            positive = ""
            if is_number:
                positive = " of 0 or more" if name in _MAY_BE_ZERO else " above 0"
            raise ConversionError(f"{source}: {name}={value!r}; give {_WANTED[kind]}{positive}")
    for name, only in _FIXED.items():
        if given.get(name, only) != only:
            raise ConversionError(
                f"{source}: {name}={given[name]!r} cannot be converted, only {name}={only!r} can"
            )
    if given.get("netG", "spade") not in _GENERATORS:
        raise ConversionError(
            f"{source}: netG={given['netG']!r} cannot be converted; give one of "
            f"{', '.join(_GENERATORS)}"
        )
    if "norm_D" in given:
        parse_plain_norm(given["norm_D"], "norm_D", source)
    if given.get("num_upsampling_layers", "normal") not in UPSAMPLINGS:
        raise ConversionError(
            f"{source}: num_upsampling_layers={given['num_upsampling_layers']!r}; "
            f"give one of {', '.join(UPSAMPLINGS)}"
        )
    return given, source


def complete_options(
    given: Mapping[str, Any], source: str, files: Mapping[str, tuple[str, Shapes]]
) -> Options | Pix2PixHDOptions:
    """The options of some networks: those given, else read off the shapes of their tensors.

    Shapes tell `netG`, `ngf`, `ndf`, `num_D`, `n_layers_D`, `norm_G` and `norm_D` (batch norm is
    taken for synchronised batch norm), "most", `use_vae`, `z_dim`, the `resnet_` options, and the
    number of semantic channels. What they do not tell has these defaults:

    - `label_nc`, `contain_dontcare_label`, `no_instance`: those of COCO-Stuff for 184 channels, of
      ADE20K for 151, of Cityscapes for 36; else all channels are classes. (Where some of the three
      are given, the others follow the official defaults: no unknown label, instance edges.)
    - `num_upsampling_layers`: "normal".
    - `crop_size`, `aspect_ratio`: 256 and 1; with a style vector, whatever square, or else twice
      as wide as high, gives as many positions as its dense layer has.
    - `netG` without a generator: "spade". `ndf`, `num_D`, `n_layers_D`, `norm_D` without a
      discriminator: 64, 2, 4, "spectralinstance".

    Args:
        given: official options; unknown names are left alone.
        source: of the options, as an error names it.
        files: of each network there is, by its letter G, D or E, the path of its file and the
            shapes of the tensors in it.

    Returns:
        The options.

    Raises:
        ConversionError: if a file is not of the official architecture, or contradicts another or
            the options.
    """
    evidence = Evidence(files, given, source)
    if evidence.pick("netG", "spade") == "pix2pixhd":
        return _complete_pix2pixhd(evidence)
    return _complete_spade(evidence)


def _complete_spade(evidence: Evidence) -> Options:
    given, source, pick = evidence.given, evidence.source, evidence.pick
    asked: tuple[Any, ...] = (None, None, None)
    if "norm_G" in given:
        asked = parse_norm(given["norm_G"], source)
    spectral_norm = pick("spectral_norm", True, asked[0], option="norm_G")
    # Synchronised or not, batch norm has the same tensors.
    is_batch = None if asked[1] is None else asked[1] != "instance"
    is_batch = pick("batch_norm", True, is_batch, option="norm_G")
    norm = asked[1] or ("batch" if is_batch else "instance")
    kernel_size = pick("kernel_size", 3, asked[2], option="norm_G")
    layers = given.get("num_upsampling_layers")
    is_most = None if layers is None else layers == "most"
    is_most = pick("most", False, is_most, option="num_upsampling_layers")
    layers, crop_size, aspect_ratio = _picture(
        [layers] if layers else ["most"] if is_most else ["normal", "more"],
        given.get("crop_size"),
        given.get("aspect_ratio"),
        evidence.found.get("positions"),
        source,
    )
    return Options(
        **_labels(evidence),
        crop_size=crop_size,
        aspect_ratio=aspect_ratio,
        ngf=pick("ngf", 64),
        num_upsampling_layers=layers,
        use_vae=pick("use_vae", False),
        z_dim=pick("z_dim", 256),
        norm_G=norm_name(spectral_norm, norm, kernel_size),
        **_discriminator(evidence),
    )


def _complete_pix2pixhd(evidence: Evidence) -> Pix2PixHDOptions:
    given, pick = evidence.given, evidence.pick
    spectral_norm, norm = _plain_norm(evidence, "norm_G", "", (False, "instance"))
    options = Pix2PixHDOptions(
        **_labels(evidence),
        crop_size=given.get("crop_size", 256),
        aspect_ratio=float(given.get("aspect_ratio", 1.0)),
        ngf=pick("ngf", 64),
        norm_G=plain_norm_name(spectral_norm, norm),
        resnet_n_downsample=pick("resnet_n_downsample", 4),
        resnet_n_blocks=pick("resnet_n_blocks", 9),
        resnet_kernel_size=pick("resnet_kernel_size", 3),
        resnet_initial_kernel_size=pick("resnet_initial_kernel_size", 7),
        **_discriminator(evidence),
        condition_channels=given.get("condition_channels", 0),
    )
    for name in ("resnet_kernel_size", "resnet_initial_kernel_size"):
        if getattr(options, name) % 2 == 0:
            raise ConversionError(
                f"{evidence.source}: {name}={getattr(options, name)} cannot be converted, only "
                "odd kernels can"
            )
    return options


def _plain_norm(
    evidence: Evidence, option: str, prefix: str, default: tuple[bool, str]
) -> tuple[bool, str]:
    asked: tuple[Any, Any] = (None, None)
    if option in evidence.given:
        asked = parse_plain_norm(evidence.given[option], option, evidence.source)
    spectral_norm = evidence.pick(f"{prefix}spectral_norm", default[0], asked[0], option=option)
    # Synchronised or not, batch norm has the same tensors.
    kind = "batch" if asked[1] == "local_batch" else asked[1]
    kind = evidence.pick(f"{prefix}norm", default[1], kind, option=option)
    return spectral_norm, asked[1] or kind


def _discriminator(evidence: Evidence) -> dict[str, Any]:
    norm = _plain_norm(evidence, "norm_D", "discriminator_", (True, "instance"))
    return {
        "ndf": evidence.pick("ndf", 64),
        "num_D": evidence.pick("num_D", 2),
        "n_layers_D": evidence.pick("n_layers_D", 4),
        "norm_D": plain_norm_name(*norm),
    }


def _read(
    checkpoint_dir: Path, options: Mapping[str, Any] | str | os.PathLike[str] | None
) -> tuple[dict[str, Any], str]:
    if isinstance(options, Mapping):
        return dict(options), "options"
    if options is not None:
        return read_option_file(Path(options)), str(options)
    for name in ("options.json", "opt.txt"):
        path = checkpoint_dir / name
        if path.exists():
            return read_option_file(path), str(path)
    return {}, str(checkpoint_dir / "options.json")


def _picture(
    choices: list[str],
    crop_size: int | None,
    aspect_ratio: float | None,
    positions: tuple[int, str] | None,
    source: str,
) -> tuple[str, int, float]:
    for layers in choices:
        scale = 2 ** UPSAMPLINGS[layers]
        ratios = [aspect_ratio] if aspect_ratio else [1.0]
        if positions and not aspect_ratio:
            width = crop_size // scale if crop_size else 0
            # Of a known width, the positions tell the height.
            fits = width and positions[0] % width == 0
            ratios = [width**2 / positions[0]] if fits else [1.0, 2.0]
        for ratio in ratios:
            crop = crop_size or (round((positions[0] * ratio) ** 0.5) * scale if positions else 256)
            height, width = image_size(scale, crop, ratio)
            if height and width and (not positions or height * width == positions[0] * scale**2):
                return layers, crop, float(ratio)
    options = (
        f"crop_size={crop_size}, aspect_ratio={aspect_ratio}, "
        f"num_upsampling_layers={' or '.join(choices)}"
    )
    if positions is None:
        raise ConversionError(f"{source}: {options}: such a picture is too small to be made")
    raise ConversionError(
        f"{source}: {options} do not fit {positions[1]}, which has {positions[0]} positions to "
        "start from; give the three options that it was trained with"
    )


def _labels(evidence: Evidence) -> dict[str, Any]:
    given, source = evidence.given, evidence.source
    channels = evidence.pick("semantic_nc", None)
    names = ("label_nc", "contain_dontcare_label", "no_instance")
    if channels is not None and not any(name in given for name in names):
        classes, has_unknown, has_edges = _KNOWN_LABELS.get(channels, (channels, False, False))
        return dict(zip(names, (classes, has_unknown, not has_edges), strict=True))
    asked = [given.get(name) for name in names]
    # The official default first: no unknown label, instance edges.
    for has_unknown, no_instance in ((False, False), (False, True), (True, False), (True, True)):
        if asked[1] in (None, has_unknown) and asked[2] in (None, no_instance):
            beside = has_unknown + (not no_instance)
            label_nc = asked[0] or (182 if channels is None else channels - beside)
            if label_nc >= 1 and channels in (None, label_nc + beside):
                return dict(zip(names, (label_nc, has_unknown, no_instance), strict=True))
    options = ", ".join(f"{name}={given[name]}" for name in names if name in given)
    raise ConversionError(
        f"{source}: {options} cannot make the {channels} semantic channels of the networks; "
        "correct them"
    )
