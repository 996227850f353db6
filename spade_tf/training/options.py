"""Options of adversarial training: what losses weigh, and how a step updates the weights."""

from __future__ import annotations

from typing import NamedTuple


class LossWeights(NamedTuple):
    """What the losses of `GauGAN` are multiplied by. All are floats >= 0; 0 leaves a loss out.

    Attributes:
        feature_matching: weight of the feature matching loss. Default 10.
        perceptual: weight of the perceptual loss, if there is one. Default 10.
        kl: weight of the KL divergence of the encoder's styles. Default 0.05.
        kl_examples: number of examples that the KL divergence is summed over, > 0. Default 4. The
            official release sums over the examples of one GPU, 4 of its batch of 32. There, the
            weight of the term depends on the number of GPUs; here it does not.
        r1: weight of the R1 penalty on real pictures. Default 0: no penalty.
        l1: weight of the mean absolute difference of generated and real pictures. It ties colour
            and light to the real picture early in training. Default 0: none, as in the paper.
        stripes: weight of the stripe loss, `spade_tf.losses.stripe_loss`. Default 0: none, as in
            the paper.
        label_mix: weight of LabelMix, which discriminators of pixels alone have. Default 10.

    Example:
        >>> LossWeights(kl=0.1)._asdict()["kl"]
        0.1
        >>> LossWeights().feature_matching
        10.0
    """

    feature_matching: float = 10.0
    perceptual: float = 10.0
    kl: float = 0.05
    kl_examples: float = 4.0
    r1: float = 0.0
    l1: float = 0.0
    stripes: float = 0.0
    label_mix: float = 10.0


class Updates(NamedTuple):
    """How one training step of `GauGAN` updates the weights.

    Attributes:
        discriminator_steps: int >= 1, updates of the discriminator per update of the generator.
            Default 1.
        accumulation_steps: int >= 1. A replica's batch is processed in this many parts, one after
            the other, to save memory. Default 1. Batch normalisation then takes its statistics
            over a part; power iterations are still made once per batch.
        clip_norm: float >= 0, largest norm of all gradients of a network together. Default 0: no
            limit.
        average_decay: float in [0, 1), decay of the averaged generator's weights. Default 0.999.

    Example:
        >>> Updates(accumulation_steps=2)
        Updates(discriminator_steps=1, accumulation_steps=2, clip_norm=0.0, average_decay=0.999)
    """

    discriminator_steps: int = 1
    accumulation_steps: int = 1
    clip_norm: float = 0.0
    average_decay: float = 0.999


def check_options(loss_weights: LossWeights, updates: Updates) -> None:
    """Raises a ValueError that names the first option which is out of its range."""
    for name, value in loss_weights._asdict().items():
        if value < 0 or (name == "kl_examples" and not value):
            least = "> 0" if name == "kl_examples" else ">= 0"
            raise ValueError(f"LossWeights.{name} must be {least}: received {value!r}")
    for name in ("discriminator_steps", "accumulation_steps"):
        if getattr(updates, name) < 1:
            raise ValueError(f"Updates.{name} must be >= 1: received {getattr(updates, name)!r}")
    if updates.clip_norm < 0:
        raise ValueError(f"Updates.clip_norm must be >= 0: received {updates.clip_norm!r}")
