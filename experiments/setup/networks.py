"""Makes networks from a configuration."""

from __future__ import annotations

import math
from typing import Any

from experiments.setup.config import Config, ConfigError
from experiments.setup.validation import PIXEL_DISCRIMINATORS
from pipelines.schema import LabelSet
from spade_tf.layers.conditioning import Conditioning
from spade_tf.networks.class_encoder import ClassEncoder
from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator
from spade_tf.networks.projected_discriminator import ProjectedDiscriminator
from spade_tf.networks.projected_segmentation import (
    ProjectedSegmentationDiscriminator,
)
from spade_tf.networks.segmentation_discriminator import SegmentationDiscriminator

Discriminator = (
    MultiscaleDiscriminator
    | ProjectedDiscriminator
    | SegmentationDiscriminator
    | ProjectedSegmentationDiscriminator
)

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
    config: Config, labels: LabelSet, name: str = "generator", form: str = "auto"
) -> SPADEGenerator | Pix2PixHDGenerator:
    """The generator of an experiment; `form` is that of its `Conditioning`."""
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
            form=form,
            class_style_dim=settings.class_style_dim,
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
        noise_inputs=settings.noise_inputs,
        **shared,
    )


def make_discriminator(config: Config, labels: LabelSet) -> Discriminator:
    """The discriminator of an experiment.

    Raises:
        ConfigError: if it has no trained weights for its frozen network, or no label ids to find.
    """
    settings = config.discriminator
    shared: dict[str, Any] = {
        "filters": settings.filters,
        "dtype": config.train.precision,
        "name": "discriminator",
    }
    if settings.architecture in PIXEL_DISCRIMINATORS:
        if labels.condition_channels:
            raise ConfigError(
                f"--config.discriminator.architecture={settings.architecture}: it finds label ids, "
                "and the data set has continuous maps; give patch"
            )
        shared |= {
            "num_labels": labels.num_ids,
            "unknown_id": labels.num_classes if labels.has_unknown else None,
        }
    else:
        shared |= {
            "num_labels": condition_channels(config, labels),
            "use_instance_edges": sees_instances(config, labels),
        }
    if settings.architecture == "segmentation":
        return SegmentationDiscriminator(
            num_downsamplings=segmentation_halvings((config.data.height, config.data.width)),
            **shared,
        )
    if settings.architecture == "patch":
        return MultiscaleDiscriminator(
            num_scales=settings.num_scales,
            num_layers=settings.num_layers,
            norm=settings.norm,
            spectral_norm=settings.spectral_norm,
            **shared,
        )
    shared["backbone"] = settings.backbone
    if settings.architecture == "projected":
        return _with_weights(ProjectedDiscriminator(**shared), config)
    network = ProjectedSegmentationDiscriminator(full_resolution=settings.full_resolution, **shared)
    return _with_weights(network, config)


def segmentation_halvings(image_size: tuple[int, int]) -> int:
    """Halvings that leave 4 pixels on the shorter side, if both sides can be halved so often."""
    least = max(1, int(math.log2(min(image_size) / 4)))
    return next(n for n in range(min(6, least), 0, -1) if not any(x % 2**n for x in image_size))


def _with_weights(
    discriminator: ProjectedDiscriminator | ProjectedSegmentationDiscriminator, config: Config
) -> ProjectedDiscriminator | ProjectedSegmentationDiscriminator:
    from spade_tf.convert.backbones import load_backbone
    from spade_tf.convert.errors import WeightsError

    weights = config.discriminator.backbone_weights
    other = "patch" if config.discriminator.architecture == "projected" else "segmentation"
    try:
        load_backbone(discriminator, None if weights == "package" else weights)
    except WeightsError as error:
        remedy = f"--config.discriminator.architecture={other}"
        if weights == "package":
            what = f"package: {error}"
        else:  # The error begins with the name of the file.
            what, remedy = str(error), f"package, or {remedy}"
        raise ConfigError(
            f"--config.discriminator.backbone_weights={what}; give {remedy}"
        ) from error
    return discriminator


def make_encoder(config: Config, labels: LabelSet) -> ConvEncoder | ClassEncoder | None:
    """The encoder of an experiment, or None if it has none."""
    if not config.encoder.enabled:
        return None
    image_size = (config.data.height, config.data.width)
    shared: dict[str, Any] = {
        "filters": config.encoder.filters,
        "image_size": image_size,
        "num_layers": encoder_layers(image_size),
        "dtype": config.train.precision,
        "name": "encoder",
    }
    encoder: ConvEncoder | ClassEncoder
    if config.encoder.per_class:
        encoder = ClassEncoder(
            condition_channels(config, labels),
            config.generator.class_style_dim,
            z_dim=config.generator.z_dim or None,
            **shared,
        )
    else:
        encoder = ConvEncoder(z_dim=config.generator.z_dim, **shared)
    encoder.trainable = config.encoder.trainable
    return encoder


def encoder_layers(image_size: tuple[int, int]) -> int:
    """Number of halvings that leave 4 pixels on the shorter side: for 256x256 the paper's six."""
    return min(6, int(math.log2(min(image_size) / 4)))
