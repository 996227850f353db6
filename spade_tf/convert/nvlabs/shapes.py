"""Which options of the official release the shapes of its tensors tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from spade_tf.convert.errors import ConversionError

__all__ = ["Evidence", "Shapes"]

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

_ARCHITECTURES = {"G": "SPADE generator", "D": "multi-scale discriminator", "E": "encoder"}
_PIX2PIXHD = "pix2pixHD generator"
# The first convolution of a pix2pixHD generator, with a norm behind it and without.
_FIRST = ("model.1.0.weight_orig", "model.1.0.weight", "model.1.weight_orig", "model.1.weight")


class Evidence:
    """What the files of a checkpoint tell of its options.

    Args:
        files: of each network there is, by its letter G, D or E, the path of its file and the
            shapes of the tensors in it.
        given: official options.
        source: of the options, as an error names it.

    Raises:
        ConversionError: if a file is not of the official architecture, or contradicts another.
    """

    def __init__(
        self, files: Mapping[str, tuple[str, Shapes]], given: Mapping[str, Any], source: str
    ):
        self.given = given
        self.source = source
        self.found: dict[str, tuple[Any, str]] = {}
        for net, (file, shapes) in files.items():
            for name, value, tensor in _read_off(net, file, shapes):
                evidence = f"{file}: tensor {tensor!r} {shapes[tensor]}"
                if name in self.found and self.found[name][0] != value:
                    raise ConversionError(
                        f"{evidence} is that of {name}={value}, but {self.found[name][1]} that of "
                        f"{name}={self.found[name][0]}; give files of one training"
                    )
                self.found.setdefault(name, (value, evidence))

    def pick(self, name: str, default: Any, asked: Any = None, option: str | None = None) -> Any:
        """The value of an option: the one given, else what the files tell, else the default.

        Args:
            name: of what the files tell.
            default: where neither tells.
            asked: the value that is asked for; None for that of the given option `name`.
            option: that asks for it, if it is called otherwise.

        Raises:
            ConversionError: if the files tell another value than is asked for.
        """
        option = option or name
        asked = self.given.get(name) if asked is None else asked
        if asked is None:
            return self.found[name][0] if name in self.found else default
        if name in self.found and self.found[name][0] != asked:
            raise ConversionError(
                f"{self.source}: {option}={self.given[option]}, but {self.found[name][1]} is that "
                f"of {name}={self.found[name][0]}; correct the option, or leave it out"
            )
        return asked


def _read_off(net: str, file: str, shapes: Shapes) -> Iterator[tuple[str, Any, str]]:
    """Each option that a file tells: its name, its value, and the tensor that tells it."""
    if net == "G":
        is_pix2pixhd = any(name in shapes for name in _FIRST)
        return (_of_pix2pixhd if is_pix2pixhd else _of_spade)(file, shapes)
    return (_of_discriminator if net == "D" else _of_encoder)(file, shapes)


def _find(
    file: str, shapes: Shapes, *names: str, rank: int, architecture: str
) -> tuple[str, tuple[int, ...]]:
    for name in names:
        if name in shapes:
            if len(shapes[name]) != rank or 0 in shapes[name]:
                break
            return name, shapes[name]
    name = next((name for name in names if name in shapes), names[0])
    state = f"has shape {shapes[name]}" if name in shapes else "is not there"
    raise ConversionError(
        f"{file}: tensor {name!r} {state}, where {rank} dimensions are expected; it is no "
        f"{architecture} of the official SPADE release"
    )


def _of_spade(file: str, shapes: Shapes) -> Iterator[tuple[str, Any, str]]:
    def find(*names: str, rank: int) -> tuple[str, tuple[int, ...]]:
        return _find(file, shapes, *names, rank=rank, architecture=_ARCHITECTURES["G"])

    prefix = "head_0.conv_0.weight"
    conv, shape = find(prefix + "_orig", prefix, rank=4)
    if shape != (shape[0] // 16 * 16, shape[0], 3, 3):
        raise ConversionError(
            f"{file}: tensor {conv!r} has shape {shape}, where [16 ngf, 16 ngf, 3, 3] is "
            f"expected; it is no {_ARCHITECTURES['G']} of the official SPADE release"
        )
    yield "netG", "spade", conv
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


def _of_pix2pixhd(file: str, shapes: Shapes) -> Iterator[tuple[str, Any, str]]:
    first, shape = _find(file, shapes, *_FIRST, rank=4, architecture=_PIX2PIXHD)
    yield "netG", "pix2pixhd", first
    yield "ngf", shape[0], first
    yield "semantic_nc", shape[1], first
    yield "resnet_initial_kernel_size", shape[2], first
    yield "spectral_norm", first.endswith("_orig"), first
    yield "norm", _plain_norm("model.1", shapes), first
    down = first.replace("model.1.", "model.3.", 1)
    _find(file, shapes, down, rank=4, architecture=_PIX2PIXHD)
    # The first, the last, and as many that halve the resolution as double it again.
    convs = [name for name in shapes if re.fullmatch(r"model\.\d+(\.0)?\.weight(_orig)?", name)]
    convs = [name for name in convs if len(shapes[name]) == 4]
    if len(convs) < 4 or len(convs) % 2:
        raise ConversionError(
            f"{file}: {len(convs)} convolutions outside of residual blocks, where an even number "
            f"of 4 or more is expected; it is no {_PIX2PIXHD} of the official SPADE release"
        )
    yield "resnet_n_downsample", len(convs) // 2 - 1, convs[-1]
    blocks = [name for name in shapes if re.match(r"model\.\d+\.conv_block\.", name)]
    count = len({name.split(".")[1] for name in blocks})
    yield "resnet_n_blocks", count, blocks[0] if blocks else first
    kernels = [name for name in blocks if len(shapes[name]) == 4]
    if kernels:
        yield "resnet_kernel_size", shapes[kernels[0]][2], kernels[0]


def _plain_norm(name: str, shapes: Shapes) -> str:
    if f"{name}.1.running_mean" in shapes:
        return "batch"
    has_norm = any(f"{name}.0.weight{suffix}" in shapes for suffix in ("", "_orig"))
    return "instance" if has_norm else "none"


def _of_discriminator(file: str, shapes: Shapes) -> Iterator[tuple[str, Any, str]]:
    architecture = _ARCHITECTURES["D"]
    start = "discriminator_0.model0.0.weight"
    first, shape = _find(file, shapes, start, rank=4, architecture=architecture)
    yield "ndf", shape[0], first
    yield "semantic_nc", shape[1] - 3, first
    scales = [name for name in shapes if re.fullmatch(r"discriminator_\d+\.model0\..*", name)]
    yield "num_D", len({name.split(".")[0] for name in scales}), scales[-1]
    layers = [name for name in shapes if re.match(r"discriminator_0\.model\d+\.", name)]
    count = len({name.split(".")[1] for name in layers}) - 1
    yield "n_layers_D", count, layers[-1]
    if count > 1:
        middle = "discriminator_0.model1.0"
        endings = (".0.weight_orig", ".0.weight", ".weight_orig", ".weight")
        names = [f"{middle}{ending}" for ending in endings]
        conv, _ = _find(file, shapes, *names, rank=4, architecture=architecture)
        yield "discriminator_spectral_norm", conv.endswith("_orig"), conv
        yield "discriminator_norm", _plain_norm(middle, shapes), conv


def _of_encoder(file: str, shapes: Shapes) -> Iterator[tuple[str, Any, str]]:
    architecture = _ARCHITECTURES["E"]
    first, shape = _find(file, shapes, "layer1.0.weight_orig", rank=4, architecture=architecture)
    yield "ngf", shape[0], first
    mu, (z_dim, _) = _find(file, shapes, "fc_mu.weight", rank=2, architecture=architecture)
    yield "use_vae", True, mu
    yield "z_dim", z_dim, mu
