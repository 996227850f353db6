"""Networks that a training looks through, and that may therefore not score it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def loss_networks(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The networks that a training's losses and discriminator look through.

    Args:
        config: the configuration, as JSON.
    """
    networks = []
    if config["loss"].get("perceptual_weight"):
        # Both have the same layers: a distance by one follows from a loss by the other.
        networks += ["vgg16", "vgg19"]
    discriminator = config.get("discriminator", {})
    if "projected" in discriminator.get("architecture", "patch"):
        networks.append(discriminator["backbone"])
    return tuple(networks)
