"""What the official release does, where the paper says otherwise or nothing."""

from collections.abc import Mapping
from typing import Any

from experiments.setup.config import Config

VARIANTS: Mapping[str, str] = {
    "paper": "as the paper says",
    "official": "as the official release trains",
}
_CHANGES: Mapping[str, Any] = {
    "optimizer.beta_2": 0.9,
    # Pictures in [-1, 1] go straight into torchvision's VGG19.
    "loss.vgg_preprocessing": "none",
    "train.average_decay": 0.0,
}


def follow_release(config: Config, variant: str) -> Config:
    """The configuration, as it is or with the release's changes.

    Args:
        config: of the paper.
        variant: one of `VARIANTS`, or empty for the paper's.
    """
    if variant:
        config.name += f"_{variant}"
    if variant == "official":
        config.change(_CHANGES)
    return config
