"""Makes networks from a configuration."""

from __future__ import annotations

import math
from typing import Any

from experiments.setup.config import Config, ConfigError
from pipelines.schema import LabelSet
from spade_tf.layers.conditioning import Conditioning
from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator
from spade_tf.networks.projected_discriminator import ProjectedDiscriminator

# Red, green, blue, and whether something covers the pixel.
CANVAS_CHANNELS = 4


def condition_channels(config: Config, labels: LabelSet) -> int:
    """Channels that networks condition on: label ids and a canvas, or a continuous map's."""
    canvas = CANVAS_CHANNELS if config.data.use_canvas else 0
    return (labels.condition_channels or labels.num_ids) + canvas


def sees_instances(config: Config, labels: LabelSet) -> bool:
    """Whether networks see instance edges: by the configuration, or else by the data set."""
    wanted = config.data.use_instance
    return labels.has_instance if wanted is None else wanted


def make_generator(
    config: Config, labels: LabelSet, name: str = "generator"
) -> SPADEGenerator | Pix2PixHDGenerator:
    """The generator of an experiment."""
    settings = config.generator
    shared: dict[str, Any] = {
        "image_size": (config.data.height, config.data.width),
        "use_instance_edges": sees_instances(config, labels),
        "filters": settings.filters,
        "spectral_norm": settings.spectral_norm,
        "conditioning": Conditioning(
            settings.conditioning,
            norm=settings.norm,
            hidden_filters=settings.hidden_filters,
            kernel_size=settings.kernel_size,
            concat=None if settings.concat == "none" else settings.concat,
        ),
        "z_dim": settings.z_dim or None,
        "dtype": config.train.precision,
        "name": name,
    }
    if settings.architecture == "pix2pixhd":
        return Pix2PixHDGenerator(
            condition_channels(config, labels),
            num_downsamplings=settings.num_downsamplings,
            num_blocks=settings.num_blocks,
            initial_kernel_size=settings.initial_kernel_size,
            block_kernel_size=settings.block_kernel_size,
            down_padding=settings.down_padding,
            **shared,
        )
    return SPADEGenerator(
        condition_channels(config, labels),
        num_upsampling_layers=settings.num_upsampling_layers,
        rematerialize=config.train.rematerialize,
        upsampling=settings.upsampling,
        padding=settings.padding,
        **shared,
    )


def make_discriminator(
    config: Config, labels: LabelSet
) -> MultiscaleDiscriminator | ProjectedDiscriminator:
    """The discriminator of an experiment."""
    settings = config.discriminator
    shared: dict[str, Any] = {
        "use_instance_edges": sees_instances(config, labels),
        "filters": settings.filters,
        "dtype": config.train.precision,
        "name": "discriminator",
    }
    if settings.architecture == "projected":
        return _projected_discriminator(config, condition_channels(config, labels), shared)
    return MultiscaleDiscriminator(
        condition_channels(config, labels),
        num_scales=settings.num_scales,
        num_layers=settings.num_layers,
        norm=settings.norm,
        spectral_norm=settings.spectral_norm,
        **shared,
    )


def _projected_discriminator(
    config: Config, num_labels: int, shared: dict[str, Any]
) -> ProjectedDiscriminator:
    from spade_tf.convert.backbones import load_backbone
    from spade_tf.convert.errors import WeightsError

    settings = config.discriminator
    discriminator = ProjectedDiscriminator(num_labels, backbone=settings.backbone, **shared)
    weights = settings.backbone_weights
    try:
        load_backbone(discriminator, None if weights == "package" else weights)
    except WeightsError as error:
        raise ConfigError(
            f"--config.discriminator.backbone_weights={weights}: {error}; to train without them, "
            "give --config.discriminator.architecture=patch"
        ) from error
    return discriminator


def make_encoder(config: Config) -> ConvEncoder | None:
    """The encoder of an experiment, or None if it has none."""
    if not config.encoder.enabled:
        return None
    image_size = (config.data.height, config.data.width)
    encoder = ConvEncoder(
        z_dim=config.generator.z_dim,
        filters=config.encoder.filters,
        image_size=image_size,
        num_layers=encoder_layers(image_size),
        dtype=config.train.precision,
        name="encoder",
    )
    encoder.trainable = config.encoder.trainable
    return encoder


def encoder_layers(image_size: tuple[int, int]) -> int:
    """Number of halvings that leave 4 pixels on the shorter side: for 256x256 the paper's six."""
    return min(6, int(math.log2(min(image_size) / 4)))
