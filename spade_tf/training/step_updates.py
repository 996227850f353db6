"""The updates of one training step: of the generator, and of the discriminator."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from spade_tf.layers.semantics import Semantics
from spade_tf.networks.styles import style_length
from spade_tf.training.accumulation import Losses, Part
from spade_tf.training.gradients import minimize
from spade_tf.training.guard import NonFiniteGuard
from spade_tf.training.options import Updates
from spade_tf.training.step_losses import StepLosses


class StepUpdates(StepLosses):
    """Base of `GauGAN` that updates weights by what `StepLosses` computes.

    Attributes:
        updates: see `GauGAN`, as for all others.
    """

    updates: Updates
    guard: NonFiniteGuard | None
    generator_weights: Any
    compiled: bool

    def update_generator(
        self, semantics: Semantics, real_image: tf.Tensor, warmup: bool = False
    ) -> Losses:
        """One step of generator and encoder: adversarial, feature, perceptual and KL losses.

        In a warm-up, the first two are left out.
        """
        return self._minimize(
            lambda part, _: self.generator_losses(
                part.semantics,
                part.image,
                noise=part.noise,
                draws=part.draws,
                class_weights=part.class_weights,
                warmup=warmup,
            ),
            self._whole(semantics, real_image, draw=0),
            self.generator_weights,
            "generator_optimizer",
        )

    def update_discriminator(
        self, semantics: Semantics, real_image: tf.Tensor, draw: int = 1
    ) -> Losses:
        """One step of the discriminator, on pictures that the updated generator makes anew."""

        def losses(part: Part, tape: tf.GradientTape) -> Losses:
            with tape.stop_recording():
                fake_image = self.generate(
                    part.semantics, part.image, noise=part.noise, training=True
                )[0]
            return self.discriminator_losses(
                part.semantics,
                part.image,
                tf.stop_gradient(fake_image),
                draws=part.draws,
                class_weights=part.class_weights,
            )

        return self._minimize(
            losses,
            self._whole(semantics, real_image, draw=draw),
            self.discriminator.trainable_variables,
            "discriminator_optimizer",
        )

    def _whole(self, semantics, real_image, draw):
        """A replica's batch, with all of its chance: whoever goes through it in parts splits it."""
        # A known number of rows where there is one: parts of them are then known, too.
        size = real_image.shape[0] or tf.shape(real_image)[0]
        noise = self.noise(size, draw) if style_length(self.generator) else None
        draws, weights = self.draws(size, draw), self.objective.class_weights(semantics)
        return Part(semantics, real_image, noise, draws, weights)

    def _minimize(self, losses_of, whole, weights, optimizer):
        if not self.compiled:
            raise ValueError("GauGAN has no optimizers yet: call compile() before training steps")
        return minimize(
            losses_of,
            whole,
            weights,
            getattr(self, optimizer),
            step=tf.convert_to_tensor(self.step) if self.guard is not None else None,
            accumulation_steps=self.updates.accumulation_steps,
            clip_norm=self.updates.clip_norm,
            guard=self.guard,
        )
