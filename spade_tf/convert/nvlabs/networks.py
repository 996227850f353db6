"""From official options to networks, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from spade_tf.convert.errors import ConversionError
from spade_tf.convert.nvlabs.norm_names import norm_name, plain_norm_name
from spade_tf.convert.nvlabs.options import Options, Pix2PixHDOptions
from spade_tf.layers.conditioning import Conditioning
from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator

__all__ = ["Networks", "make_networks", "options_of"]

Generator: TypeAlias = SPADEGenerator | Pix2PixHDGenerator

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

    generator: Generator | None
    discriminator: MultiscaleDiscriminator | None
    encoder: ConvEncoder | None


def make_networks(options: Options | Pix2PixHDOptions, nets: str) -> Networks:
    """Networks of official options, with weights of no meaning yet.

    Args:
        options: the official options.
        nets: which there are, letters of G, D and E.

    Raises:
        ValueError: if a network cannot be made.
    """
    return Networks(
        _make_generator(options) if "G" in nets else None,
        _make_discriminator(options) if "D" in nets else None,
        _make_encoder(options) if "E" in nets and isinstance(options, Options) else None,
    )


def _make_generator(options: Options | Pix2PixHDOptions) -> Generator:
    common: dict[str, Any] = {
        "image_size": options.image_size,
        "use_instance_edges": not options.no_instance,
        "filters": options.ngf,
        "name": "generator",
    }
    if isinstance(options, Pix2PixHDOptions):
        spectral_norm, norm = options.generator_norm
        return Pix2PixHDGenerator(
            options.num_labels,
            num_downsamplings=options.resnet_n_downsample,
            num_blocks=options.resnet_n_blocks,
            initial_kernel_size=options.resnet_initial_kernel_size,
            block_kernel_size=options.resnet_kernel_size,
            down_padding="zeros",
            spectral_norm=spectral_norm,
            conditioning=Conditioning(_kind(norm), norm=norm),
            **common,
        )
    spectral_norm, norm, kernel_size = options.generator_norm
    return SPADEGenerator(
        options.num_labels,
        conditioning=Conditioning(
            "spade", norm=norm, hidden_filters=_HIDDEN_FILTERS, kernel_size=kernel_size
        ),
        num_upsampling_layers=options.num_upsampling_layers,
        z_dim=options.z_dim if options.use_vae else None,
        spectral_norm=spectral_norm,
        **common,
    )


def _kind(norm: str) -> str:
    """Outside SPADE the release gives batch norm a scale and shift, and instance norm none."""
    return "affine" if norm in ("batch", "local_batch") else "none"


def _make_discriminator(options: Options | Pix2PixHDOptions) -> MultiscaleDiscriminator:
    spectral_norm, norm = options.discriminator_norm
    return MultiscaleDiscriminator(
        options.num_labels,
        use_instance_edges=not options.no_instance,
        num_scales=options.num_D,
        filters=options.ndf,
        num_layers=options.n_layers_D,
        norm=norm,
        spectral_norm=spectral_norm,
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


def options_of(networks: Networks, options: Mapping[str, Any]) -> dict[str, Any]:
    """The official options that networks determine, added to those given.

    Args:
        networks: to be saved.
        options: others, `contain_dontcare_label` among them.

    Raises:
        ConversionError: if a network has no official counterpart.
    """
    options = dict(options)
    generator, discriminator, encoder = networks
    generators = (SPADEGenerator, Pix2PixHDGenerator)
    kinds = (generators, (MultiscaleDiscriminator,), (ConvEncoder,))
    for network, classes, net in zip(networks, kinds, "GDE", strict=True):
        if network is not None and type(network) not in classes:
            names = " or a ".join(kind.__name__ for kind in classes)
            raise ConversionError(
                f"a {type(network).__name__} has no official counterpart as net {net}; a {names} "
                "has"
            )
    has_unknown = bool(options.get("contain_dontcare_label", False))
    for network in (discriminator, generator):
        if network is None:
            continue
        classes_only = network.num_labels - has_unknown
        edges = network.use_instance_edges
        options |= {
            "label_nc": _same(options, "label_nc", classes_only),
            "contain_dontcare_label": has_unknown,
            "no_instance": _same(options, "no_instance", not edges),
            "semantic_nc": network.semantic_channels,
        }
    if discriminator is not None:
        options |= _of_discriminator(discriminator)
    if encoder is not None:
        options |= _of_encoder(encoder)
    if generator is not None:
        of_one = _of_spade if isinstance(generator, SPADEGenerator) else _of_pix2pixhd
        height, width = generator.image_size
        options |= of_one(generator, encoder)
        options |= {
            "ngf": generator.filters,
            "crop_size": width,
            "aspect_ratio": width / height,
            "output_nc": 3,
        }
    return options


def _of_discriminator(discriminator: MultiscaleDiscriminator) -> dict[str, Any]:
    return {
        "netD": "multiscale",
        "netD_subarch": "n_layer",
        "norm_D": plain_norm_name(discriminator.spectral_norm, discriminator.norm),
        "ndf": discriminator.filters,
        "num_D": discriminator.num_scales,
        "n_layers_D": discriminator.num_layers,
    }


def _of_encoder(encoder: ConvEncoder) -> dict[str, Any]:
    _require(encoder.image_size, _ENCODER_SIZE, "encoder's image_size")
    _require(encoder.num_layers, _ENCODER_LAYERS, "encoder's num_layers")
    _require(encoder.z_dim, _ENCODER_Z_DIM, "encoder's z_dim")
    return {
        "norm_E": "spectralinstance",
        "use_vae": True,
        "ngf": encoder.filters,
        "z_dim": encoder.z_dim,
    }


def _of_spade(generator: SPADEGenerator, encoder: ConvEncoder | None) -> dict[str, Any]:
    _require(generator.upsampling, "nearest", "generator's upsampling")
    _require(generator.noise_inputs, False, "generator's noise_inputs")
    _require(generator.padding, "zeros", "generator's padding")
    conditioning = generator.conditioning
    _require(conditioning.kind, "spade", "generator's conditioning")
    _require(conditioning.concat, None, "generator's concat")
    _require(conditioning.class_style_dim, 0, "generator's class_style_dim")
    _require(conditioning.hidden_filters, _HIDDEN_FILTERS, "generator's hidden_filters")
    norm_g = norm_name(generator.spectral_norm, conditioning.norm, conditioning.kernel_size)
    if encoder is not None:
        _require(generator.z_dim, encoder.z_dim, "generator's z_dim")
        _require(encoder.filters, generator.filters, "encoder's filters")
    return {
        "netG": "spade",
        "norm_G": norm_g,
        "num_upsampling_layers": generator.num_upsampling_layers,
        "use_vae": generator.z_dim is not None,
        "z_dim": generator.z_dim or _ENCODER_Z_DIM,
    }


def _of_pix2pixhd(generator: Pix2PixHDGenerator, encoder: ConvEncoder | None) -> dict[str, Any]:
    if encoder is not None:
        raise ConversionError("a pix2pixHD generator with an encoder has no official counterpart")
    conditioning = generator.conditioning
    norm_g = plain_norm_name(generator.spectral_norm, conditioning.norm)
    _require(conditioning.kind, _kind(conditioning.norm), "generator's conditioning")
    _require(conditioning.concat, None, "generator's concat")
    _require(generator.down_padding, "zeros", "generator's down_padding")
    return {
        "netG": "pix2pixhd",
        "norm_G": norm_g,
        "use_vae": False,
        "resnet_n_downsample": generator.num_downsamplings,
        "resnet_n_blocks": generator.num_blocks,
        "resnet_kernel_size": generator.block_kernel_size,
        "resnet_initial_kernel_size": generator.initial_kernel_size,
    }


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
