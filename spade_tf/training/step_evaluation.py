"""What a training says of pictures that it does not train on."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from spade_tf.layers.semantics import Semantics
from spade_tf.layers.state import hold_state
from spade_tf.losses.feature_matching import feature_matching_loss
from spade_tf.networks.styles import encode_style, style_length, styled
from spade_tf.training.accumulation import Losses
from spade_tf.training.step_losses import StepLosses, l1_loss


class StepEvaluation(StepLosses):
    """Base of `GauGAN` that takes losses of pictures with the weights as they are."""

    def evaluated(
        self, semantics: Semantics, real_image: tf.Tensor
    ) -> tuple[keras.Model, tf.Tensor | None]:
        """The generator that is evaluated, and the whole styles of its pictures.

        Args:
            semantics: the label maps.
            real_image: `[B, H, W, 3]`, pictures whose styles are taken, where there is an encoder.

        Returns:
            The averaged generator, or else the generator; and `[B, style_length]`, the means of
            the encoder, or else drawn styles. None for a generator without styles.
        """
        generator = self.average_generator or self.generator
        if not style_length(generator):
            return generator, None
        if self.encoder is None:
            return generator, self.noise(tf.shape(real_image)[0], 0)
        return generator, encode_style(self.encoder, real_image, semantics)[0]

    def evaluation_losses(self, batch: Mapping[str, tf.Tensor]) -> Losses:
        """Losses of the averaged generator, or else the generator, on pictures not trained on.

        Each is taken twice: `inference/...` with the running statistics that an export uses, and
        `training/...` with those of the batch. A gap between the two is the known failure in
        which a model is good in training and bad in use. Nothing is moved.

        Args:
            batch: as of `train_step`.

        Returns:
            Scalars by name: `adversarial`, `feature_matching`, `perceptual` where there is one,
            unweighted, and `l1`, the mean absolute difference of the pictures.
        """
        semantics, real_image = self.semantics(batch), batch["image"]
        generator, style = self.evaluated(semantics, real_image)
        inputs = styled(generator, semantics, style)
        losses = {}
        for mode in ("inference", "training"):
            with hold_state():
                fake_image = generator(**inputs, training=mode == "training")
            seen = self.seen(semantics, fake_image, real_image, None, None, training=False)
            losses[f"{mode}/adversarial"] = self.objective.generator(seen)
            losses[f"{mode}/feature_matching"] = feature_matching_loss(seen.fake, seen.real)
            if self.perceptual_loss is not None:
                losses[f"{mode}/perceptual"] = self.perceptual_loss(real_image, fake_image)
            losses[f"{mode}/l1"] = l1_loss(fake_image, real_image)
        return losses
