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
    loss = config["loss"]
    if loss.get("perceptual_weight"):
        # Both VGGs have the same layers: a distance by one follows from a loss by the other.
        network = loss.get("perceptual_network", "vgg")
        networks += ["vgg16", "vgg19"] if network == "vgg" else [network]
    discriminator = config.get("discriminator", {})
    if "projected" in discriminator.get("architecture", "patch"):
        networks.append(discriminator["backbone"])
    return tuple(networks)
