"""The options of the official release that determine its networks, under their official names."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, get_type_hints

from spade_tf.networks.generator import UPSAMPLINGS

__all__ = ["ConversionError", "Options", "complete_options", "given_options"]

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

# Three data sets of the paper are known by their channels: classes, unknown, instance edges.
_KNOWN_LABELS = {184: (182, True, True), 151: (150, True, False), 36: (35, False, True)}
# What these decide is written into the networks here, so that another value cannot be had.
_FIXED = {
    "netG": "spade",
    "netD": "multiscale",
    "netD_subarch": "n_layer",
    "norm_D": "spectralinstance",
    "norm_E": "spectralinstance",
    "output_nc": 3,
}
_NORMS = {"batch": "syncbatch", "local_batch": "batch", "instance": "instance"}
_WANTED = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


class ConversionError(ValueError):
    """An official checkpoint that cannot be converted, or a model that has no official form.

    The message is one line.
    """


class Options(NamedTuple):
    """The official options that determine the networks.

    Attributes:
        label_nc: classes, the unknown label not counted.
        contain_dontcare_label: whether an unknown label follows the classes.
        no_instance: whether the networks are shown no instance edges.
        crop_size: width of the pictures, in pixels.
        aspect_ratio: width over height.
        ngf: base width of generator and encoder.
        num_upsampling_layers: "normal", "more" or "most".
        use_vae: whether the generator starts from a style vector.
        z_dim: length of the style vector.
        norm_G: "spectralspadesyncbatch3x3": whether the generator is spectrally normalised, what
            SPADE normalises by ("syncbatch", "batch", "instance"), and the size of its kernels.
        ndf: base width of the discriminator.
        num_D: scales of the discriminator.
        n_layers_D: layers of each scale before the logits.
    """

    label_nc: int
    contain_dontcare_label: bool
    no_instance: bool
    crop_size: int
    aspect_ratio: float
    ngf: int
    num_upsampling_layers: str
    use_vae: bool
    z_dim: int
    norm_G: str  # noqa: N815
    ndf: int
    num_D: int  # noqa: N815
    n_layers_D: int  # noqa: N815

    @property
    def num_labels(self) -> int:
        """Label ids, the unknown one included."""
        return self.label_nc + int(self.contain_dontcare_label)

    @property
    def image_size(self) -> tuple[int, int]:
        """`(height, width)` in pixels of what the generator makes."""
        return _image_size(self.num_upsampling_layers, self.crop_size, self.aspect_ratio)

    @property
    def generator_norm(self) -> tuple[bool, str, int]:
        """Whether spectrally normalised, SPADE's normalisation, and its kernel size."""
        return _parse_norm(self.norm_G, "norm_G")


def given_options(
    checkpoint_dir: Path, options: Mapping[str, Any] | str | os.PathLike[str] | None
) -> tuple[dict[str, Any], str]:
    """Official options as a user gives them, and where they come from.

    Args:
        checkpoint_dir: where an `options.json` may be.
        options: the options themselves; or a JSON file of them; or None for the `options.json` of
            the directory, or for nothing where there is none.

    Returns:
        The options, and their source as an error names it. A value of None counts as not given.

    Raises:
        ConversionError: if the file cannot be read, or a value has the wrong type.
    """
    source = "options"
    if isinstance(options, Mapping):
        given = dict(options)
    else:
        path = Path(options) if options is not None else checkpoint_dir / "options.json"
        source = str(path)
        given = _read_json(path) if options is not None or path.exists() else {}
    given = {name: value for name, value in given.items() if value is not None}
    for name, kind in {**get_type_hints(Options), "semantic_nc": int}.items():
        value = given.get(name)
        if value is None:
            continue
        is_number = kind in (int, float)
        if (
            not isinstance(value, (int, float) if kind is float else kind)
            or (is_number and isinstance(value, bool))
            or (is_number and not 0 < value < math.inf)
        ):
            positive = " above 0" if is_number else ""
            raise ConversionError(f"{source}: {name}={value!r}; give {_WANTED[kind]}{positive}")
    for name, only in _FIXED.items():
        if given.get(name, only) != only:
            raise ConversionError(
                f"{source}: {name}={given[name]!r} cannot be converted, only {name}={only!r} can"
            )
    if "norm_G" in given:
        _parse_norm(given["norm_G"], source)
    if given.get("num_upsampling_layers", "normal") not in UPSAMPLINGS:
        raise ConversionError(
            f"{source}: num_upsampling_layers={given['num_upsampling_layers']!r}; "
            f"give one of {', '.join(UPSAMPLINGS)}"
        )
    return given, source


def complete_options(
    given: Mapping[str, Any], source: str, files: Mapping[str, tuple[str, Shapes]]
) -> Options:
    """The options of some networks: those given, else read off the shapes of their tensors.

    Shapes tell `ngf`, `ndf`, `num_D`, `n_layers_D`, `norm_G` (synchronised batch norm is taken for
    batch norm), "most", `use_vae`, `z_dim`, and the number of semantic channels. What they do not
    tell has these defaults:

    - `label_nc`, `contain_dontcare_label`, `no_instance`: those of COCO-Stuff for 184 channels, of
      ADE20K for 151, of Cityscapes for 36; else all channels are classes. (Where some of the three
      are given, the others follow the official defaults: no unknown label, instance edges.)
    - `num_upsampling_layers`: "normal".
    - `crop_size`, `aspect_ratio`: 256 and 1; with a style vector, whatever square, or else twice
      as wide as high, gives as many positions as its dense layer has.
    - `ndf`, `num_D`, `n_layers_D` without a discriminator: 64, 2, 4.

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
    found: dict[str, tuple[Any, str]] = {}
    for net, (file, shapes) in files.items():
        for name, value, tensor in _read_off(net, file, shapes):
            evidence = f"{file}: tensor {tensor!r} {shapes[tensor]}"
            if name in found and found[name][0] != value:
                raise ConversionError(
                    f"{evidence} is that of {name}={value}, but {found[name][1]} that of "
                    f"{name}={found[name][0]}; give files of one training"
                )
            found.setdefault(name, (value, evidence))

    def pick(name: str, default: Any, asked: Any = None, option: str | None = None) -> Any:
        option = option or name
        asked = given.get(name) if asked is None else asked
        if asked is None:
            return found[name][0] if name in found else default
        if name in found and found[name][0] != asked:
            raise ConversionError(
                f"{source}: {option}={given[option]}, but {found[name][1]} is that of "
                f"{name}={found[name][0]}; correct the option, or leave it out"
            )
        return asked

    asked: tuple[Any, ...] = (None, None, None)
    if "norm_G" in given:
        asked = _parse_norm(given["norm_G"], source)
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
        found.get("positions"),
        source,
    )
    label_nc, has_unknown, no_instance = _labels(given, pick("semantic_nc", None), source)
    return Options(
        label_nc=label_nc,
        contain_dontcare_label=has_unknown,
        no_instance=no_instance,
        crop_size=crop_size,
        aspect_ratio=aspect_ratio,
        ngf=pick("ngf", 64),
        num_upsampling_layers=layers,
        use_vae=pick("use_vae", False),
        z_dim=pick("z_dim", 256),
        norm_G=norm_name(spectral_norm, norm, kernel_size),
        ndf=pick("ndf", 64),
        num_D=pick("num_D", 2),
        n_layers_D=pick("n_layers_D", 4),
    )


def norm_name(spectral_norm: bool, norm: str, kernel_size: int) -> str:
    """The official `norm_G` of a generator.

    Args:
        spectral_norm: whether its convolutions are spectrally normalised.
        norm: what SPADE normalises by.
        kernel_size: of SPADE's convolutions.

    Raises:
        ConversionError: if there is none.
    """
    if norm not in _NORMS or kernel_size > 9:
        raise ConversionError(
            f"generator's norm={norm!r} with kernel_size={kernel_size} has no official "
            f"counterpart; {', '.join(_NORMS)} with kernels up to 9x9 have"
        )
    return f"{'spectral' * spectral_norm}spade{_NORMS[norm]}{kernel_size}x{kernel_size}"


def _parse_norm(text: str, source: str) -> tuple[bool, str, int]:
    match = re.fullmatch(r"(spectral)?spade(syncbatch|batch|instance)([13579])x\3", text)
    if match is None:
        raise ConversionError(
            f"{source}: norm_G={text!r} cannot be converted; it must be [spectral]spade, then "
            "syncbatch, batch or instance, then an odd kernel size as in 3x3"
        )
    ours = next(norm for norm, theirs in _NORMS.items() if theirs == match[2])
    return match[1] is not None, ours, int(match[3])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConversionError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConversionError(f"{path}: is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise ConversionError(f"{path}: must hold one JSON object of options by their names")
    return content


def _read_off(net: str, file: str, shapes: Shapes) -> Iterator[tuple[str, Any, str]]:
    """Each option that a file tells: its name, its value, and the tensor that tells it."""

    def find(*names: str, rank: int) -> tuple[str, tuple[int, ...]]:
        for name in names:
            if name in shapes:
                if len(shapes[name]) != rank or 0 in shapes[name]:
                    break
                return name, shapes[name]
        name = next((name for name in names if name in shapes), names[0])
        state = f"has shape {shapes[name]}" if name in shapes else "is not there"
        raise ConversionError(
            f"{file}: tensor {name!r} {state}, where {rank} dimensions are expected; it is no "
            f"{_ARCHITECTURES[net]} of the official SPADE release"
        )

    if net == "G":
        prefix = "head_0.conv_0.weight"
        conv, shape = find(prefix + "_orig", prefix, rank=4)
        if shape != (shape[0] // 16 * 16, shape[0], 3, 3):
            raise ConversionError(
                f"{file}: tensor {conv!r} has shape {shape}, where [16 ngf, 16 ngf, 3, 3] is "
                f"expected; it is no {_ARCHITECTURES[net]} of the official SPADE release"
            )
        yield "ngf", shape[0] // 16, conv
        yield "spectral_norm", conv.endswith("_orig"), conv
        shared, (_, channels, _, kernel_size) = find("head_0.norm_0.mlp_shared.0.weight", rank=4)
        yield "semantic_nc", channels, shared
        yield "kernel_size", kernel_size, shared
        mean = "head_0.norm_0.param_free_norm.running_mean"
        yield "batch_norm", mean in shapes, mean if mean in shapes else shared
        image, _ = find("conv_img.weight", rank=4)
        last = next((name for name in shapes if name.startswith("up_4.")), image)
        yield "most", last != image, last
        use_vae = len(shapes.get("fc.weight", ())) == 2
        start, fc = find("fc.weight", rank=2 if use_vae else 4)
        yield "use_vae", use_vae, start
        if use_vae:
            yield "z_dim", fc[1], start
            yield "positions", fc[0] // shape[0], start
    elif net == "D":
        first, shape = find("discriminator_0.model0.0.weight", rank=4)
        yield "ndf", shape[0], first
        yield "semantic_nc", shape[1] - 3, first
        scales = [name for name in shapes if re.fullmatch(r"discriminator_\d+\.model0\..*", name)]
        yield "num_D", len({name.split(".")[0] for name in scales}), scales[-1]
        layers = [name for name in shapes if re.match(r"discriminator_0\.model\d+\.", name)]
        yield "n_layers_D", len({name.split(".")[1] for name in layers}) - 1, layers[-1]
    else:
        first, shape = find("layer1.0.weight_orig", rank=4)
        yield "ngf", shape[0], first
        mu, (z_dim, _) = find("fc_mu.weight", rank=2)
        yield "use_vae", True, mu
        yield "z_dim", z_dim, mu


_ARCHITECTURES = {"G": "SPADE generator", "D": "multi-scale discriminator", "E": "encoder"}


def _image_size(layers: str, crop_size: int, aspect_ratio: float) -> tuple[int, int]:
    scale = 2 ** UPSAMPLINGS[layers]
    width = crop_size // scale
    return round(width / aspect_ratio) * scale, width * scale


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
            height, width = _image_size(layers, crop, ratio)
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


def _labels(given: Mapping[str, Any], channels: int | None, source: str) -> tuple[int, bool, bool]:
    names = ("label_nc", "contain_dontcare_label", "no_instance")
    if channels is not None and not any(name in given for name in names):
        classes, has_unknown, has_edges = _KNOWN_LABELS.get(channels, (channels, False, False))
        return classes, has_unknown, not has_edges
    asked = [given.get(name) for name in names]
    # The official default first: no unknown label, instance edges.
    for has_unknown, no_instance in ((False, False), (False, True), (True, False), (True, True)):
        if asked[1] in (None, has_unknown) and asked[2] in (None, no_instance):
            beside = has_unknown + (not no_instance)
            label_nc = asked[0] or (182 if channels is None else channels - beside)
            if label_nc >= 1 and channels in (None, label_nc + beside):
                return label_nc, has_unknown, no_instance
    options = ", ".join(f"{name}={given[name]}" for name in names if name in given)
    raise ConversionError(
        f"{source}: {options} cannot make the {channels} semantic channels of the networks; "
        "correct them"
    )
