"""What generator and discriminator play for: one objective for each kind of discriminator."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from spade_tf.layers.semantics import Semantics
from spade_tf.layers.state import hold_state
from spade_tf.losses.adversarial import AdversarialLoss, HingeLoss
from spade_tf.losses.label_mix import label_mix_loss, label_mix_mask
from spade_tf.losses.pixel_classification import class_weights, pixel_class_loss, pixel_fake_loss
from spade_tf.losses.r1 import r1_penalty
from spade_tf.training.accumulation import Losses
from spade_tf.training.options import LossWeights

Features = list[list[tf.Tensor]]


class Seen(NamedTuple):
    """What the discriminator was shown, and what it made of it.

    Attributes:
        semantics: the label maps.
        fake_image: `[B, H, W, 3]`.
        real_image: `[B, H, W, 3]`.
        fake: per scale, its feature maps of the fake pictures; the last one has the logits.
        real: likewise, of the real pictures.
        class_weights: float32 `[N]`, of an objective that weighs classes, or None.
        draws: float `[B, num_draws]` in [0, 1), random numbers of the objective, or None.
    """

    semantics: Semantics
    fake_image: tf.Tensor
    real_image: tf.Tensor
    fake: Features
    real: Features
    class_weights: tf.Tensor | None
    draws: tf.Tensor | None


class Objective(Protocol):
    """The adversarial losses of a step."""

    @property
    def loss(self) -> AdversarialLoss | None:
        """The loss that it uses, if that is an `AdversarialLoss`."""

    @property
    def num_draws(self) -> int:
        """How many random numbers it needs per example."""

    def class_weights(self, semantics: Semantics) -> tf.Tensor | None:
        """Weights of classes in the global batch, of which this replica has some examples."""

    def generator(self, seen: Seen) -> tf.Tensor:
        """The generator's loss."""

    def discriminator(self, seen: Seen, discriminator: Any, training: bool) -> Losses:
        """The discriminator's losses by name; they are weighted."""


class RealOrFake:
    """An adversarial loss on the logits of a discriminator that says how real a picture looks."""

    num_draws = 0

    def __init__(self, loss: AdversarialLoss, r1_weight: float):
        self.loss = loss
        self.r1_weight = r1_weight

    def class_weights(self, semantics: Semantics) -> None:
        """None: all classes count alike."""

    def generator(self, seen: Seen) -> tf.Tensor:
        """The adversarial loss."""
        return self.loss.generator(_logits(seen.fake))

    def discriminator(self, seen: Seen, discriminator: Any, training: bool) -> Losses:
        """The adversarial losses; R1 is taken where the discriminator looks."""
        losses = {
            "discriminator/fake": self.loss.discriminator_fake(_logits(seen.fake)),
            "discriminator/real": self.loss.discriminator_real(_logits(seen.real)),
        }
        if self.r1_weight and training:
            dense = seen.semantics.dense

            def logits(image):
                with hold_state():
                    return _logits(discriminator(dense, image, training=True))

            losses["discriminator/r1"] = self.r1_weight * r1_penalty(logits, seen.real_image)
        return losses


class PixelClasses:
    """The losses of a discriminator that finds the class of every pixel, or calls it fake.

    Pixels of unknown class are left out of the losses of classes, as nobody can say what they show.
    Where the generator made them, they are fake as all others.

    Args:
        num_labels: int >= 1, label ids N, the unknown one included.
        unknown_id: int, the id of unknown; None where there is none.
        label_mix_weight: float >= 0, weight of LabelMix; 0 leaves it out.

    Reference: Sushko et al. 2021, sections 3.1 and 3.2, https://arxiv.org/abs/2012.04781; the paper
        does not say what unknown pixels count as.
    """

    loss = None

    def __init__(self, num_labels: int, unknown_id: int | None, label_mix_weight: float):
        self.num_labels = num_labels
        self.unknown_id = unknown_id
        self.label_mix_weight = label_mix_weight
        # Which classes of a mixed picture are real.
        self.num_draws = num_labels if label_mix_weight else 0

    def class_weights(self, semantics: Semantics) -> tf.Tensor:
        """Weights by the inverse of the pixels that each class covers in the global batch."""
        label = _label_of(semantics)
        known = tf.where(label == (-1 if self.unknown_id is None else self.unknown_id), -1, label)
        ones = tf.ones(tf.shape(label), tf.float32)
        counts = tf.math.unsorted_segment_sum(ones, known, self.num_labels)
        replicas = tf.distribute.get_replica_context()
        if replicas is not None and replicas.num_replicas_in_sync > 1:
            counts = replicas.all_reduce(tf.distribute.ReduceOp.SUM, counts)
        return class_weights(counts)

    def generator(self, seen: Seen) -> tf.Tensor:
        """Every generated pixel should look like its class."""
        return pixel_class_loss(seen.fake[-1][-1], _label_of(seen.semantics), seen.class_weights)

    def discriminator(self, seen: Seen, discriminator: Any, training: bool) -> Losses:
        """Real pixels are of their class, generated ones fake; and LabelMix."""
        label, (fake, real) = _label_of(seen.semantics), (seen.fake[-1][-1], seen.real[-1][-1])
        losses = {
            "discriminator/fake": pixel_fake_loss(fake, label),
            "discriminator/real": pixel_class_loss(real, label, seen.class_weights),
        }
        if self.label_mix_weight and training:
            mask = label_mix_mask(label, seen.draws)
            mixed_image = tf.where(mask, seen.real_image, seen.fake_image)
            # One power iteration per step has been made already.
            with hold_state():
                features = discriminator(inputs=seen.semantics, image=mixed_image, training=True)
            losses["discriminator/label_mix"] = self.label_mix_weight * label_mix_loss(
                features[-1][-1], real, fake, mask, label
            )
        return losses


def objective_of(
    discriminator: keras.Model, adversarial_loss: AdversarialLoss | None, weights: LossWeights
) -> Objective:
    """The objective that a discriminator is made for.

    Args:
        discriminator: one with `classifies_pixels`, such as `SegmentationDiscriminator`, has
            losses of its own.
        adversarial_loss: of any other one; None for the hinge loss.
        weights: of the losses.

    Raises:
        ValueError: if a loss is given that the discriminator has no logits for.
    """
    if not getattr(discriminator, "classifies_pixels", False):
        return RealOrFake(adversarial_loss or HingeLoss(), weights.r1)
    name = type(discriminator).__name__
    if adversarial_loss is not None:
        raise ValueError(
            f"a {name} has losses of its own: leave adversarial_loss out; received "
            f"{adversarial_loss!r}"
        )
    if weights.r1:
        raise ValueError(
            f"LossWeights.r1 must be 0 with a {name}, which has no score of being real: received "
            f"{weights.r1!r}"
        )
    return PixelClasses(discriminator.num_labels, discriminator.unknown_id, weights.label_mix)


def _logits(features):
    return [scale[-1] for scale in features]


def _label_of(semantics):
    if semantics.label is None:
        raise ValueError(
            "a discriminator of pixels needs label ids: received a continuous map; use another one"
        )
    return semantics.label
