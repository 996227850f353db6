"""The losses of one training step, and what they are computed from: styles, pictures, features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.gaussian_sampling import GaussianSampling
from spade_tf.layers.nested import nested_layers
from spade_tf.layers.normalization import BatchNorm
from spade_tf.layers.semantics import Semantics
from spade_tf.losses.feature_matching import feature_matching_loss
from spade_tf.losses.kl import kl_divergence
from spade_tf.losses.stripes import stripe_loss
from spade_tf.networks.styles import encode_style, style_length, styled
from spade_tf.training.accumulation import Losses
from spade_tf.training.augmentation import Augment
from spade_tf.training.objectives import Objective, Seen
from spade_tf.training.options import LossWeights
from spade_tf.training.random_numbers import share_of_global_batch

_STYLES, _DRAWS = 0, 1  # What random numbers of a draw are for.


class StepLosses:
    """Base of `GauGAN` with all that a step minimises; no weight is updated here.

    Attributes:
        generator: see `GauGAN`, as for all others.
        step: training steps done. Noise is a function of it and of the seed.
    """

    generator: Any
    discriminator: Any
    encoder: Any
    average_generator: Any
    sampling: GaussianSampling
    objective: Objective
    perceptual_loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None
    loss_weights: LossWeights
    augment: Augment | None
    seed: int
    step: keras.Variable

    def semantics(self, batch: Any) -> Semantics:
        """What all networks condition on, made once per step.

        A batch without `label` holds `condition`, a float map `[B, H, W, C]`, in its place.
        """
        return Semantics.from_inputs(
            batch,
            num_labels=self.generator.num_labels,
            use_instance_edges=self.generator.use_instance_edges,
            dtype=self.generator.compute_dtype,
        )

    def generator_losses(
        self,
        semantics: Semantics,
        real_image: tf.Tensor,
        training: bool = True,
        noise: tf.Tensor | None = None,
        draws: tf.Tensor | None = None,
        class_weights: tf.Tensor | None = None,
        warmup: bool = False,
    ) -> Losses:
        """What generator and encoder minimise, by name and weighted.

        Args:
            semantics: the label maps.
            real_image: `[B, H, W, 3]`.
            training: bool.
            noise: `[B, style_length]`, standard normal; None to draw it.
            draws: float `[B, num_draws]` in [0, 1), see `draws`; None to draw them.
            class_weights: of the global batch; None for those of `semantics`.
            warmup: bool, whether to leave out all that the discriminator says.
        """
        fake_image, style = self.generate(semantics, real_image, noise=noise, training=training)
        losses = self.picture_losses(
            semantics,
            real_image,
            fake_image,
            training=training,
            draws=draws,
            class_weights=class_weights,
            warmup=warmup,
        )
        if self.encoder is not None and self.encoder.trainable and style is not None:
            mu, logvar = style
            examples = self.loss_weights.kl_examples / tf.cast(tf.shape(mu)[0], tf.float32)
            losses["generator/kl"] = self.loss_weights.kl * examples * kl_divergence(mu, logvar)
        return losses

    def picture_losses(
        self,
        semantics: Semantics,
        real_image: tf.Tensor,
        fake_image: tf.Tensor,
        training: bool = True,
        draws: tf.Tensor | None = None,
        class_weights: tf.Tensor | None = None,
        warmup: bool = False,
    ) -> Losses:
        """Those that look at the picture: all but the KL divergence."""
        losses: Losses = {}
        weights = self.loss_weights
        if not warmup:
            given = (semantics, fake_image, real_image, draws, class_weights, training)
            seen = self.seen(*given, with_real=self._compares_features)
            losses["generator/adversarial"] = self.objective.generator(seen)
            if weights.feature_matching:
                matching = feature_matching_loss(seen.fake, seen.real)
                losses["generator/feature_matching"] = weights.feature_matching * matching
        if self.perceptual_loss is not None:
            perceptual = self.perceptual_loss(real_image, fake_image)
            losses["generator/perceptual"] = weights.perceptual * perceptual
        if weights.l1:
            losses["generator/l1"] = weights.l1 * l1_loss(fake_image, real_image)
        if weights.stripes:
            losses["generator/stripes"] = weights.stripes * stripe_loss(fake_image, real_image)
        return losses

    @property
    def _compares_features(self) -> bool:
        """Whether the generator's losses depend on what the discriminator makes of real pictures.

        They do by feature matching, and by statistics that a batch norm takes of both together.
        """
        return bool(self.loss_weights.feature_matching) or any(
            isinstance(layer, (BatchNorm, keras.layers.BatchNormalization))
            for layer in nested_layers(self.discriminator)
        )

    def discriminator_losses(
        self,
        semantics: Semantics,
        real_image: tf.Tensor,
        fake_image: tf.Tensor,
        training: bool = True,
        draws: tf.Tensor | None = None,
        class_weights: tf.Tensor | None = None,
    ) -> Losses:
        """What the discriminator minimises, by name and weighted."""
        seen = self.seen(semantics, fake_image, real_image, draws, class_weights, training)
        return self.objective.discriminator(seen, self.discriminator, training)

    def seen(
        self,
        semantics: Semantics,
        fake_image: tf.Tensor,
        real_image: tf.Tensor,
        draws: tf.Tensor | None,
        class_weights: tf.Tensor | None,
        training: bool,
        with_real: bool = True,
    ) -> Seen:
        """What the discriminator is shown in a pass, and what it makes of it.

        Without `with_real`, it is shown the generated pictures alone, at half the cost.
        """
        if class_weights is None:
            class_weights = self.objective.class_weights(semantics)
        if draws is None and training:
            draws = self.draws(real_image.shape[0] or tf.shape(real_image)[0], 0)
        count = self.objective.num_draws
        own = draws[:, -count:] if draws is not None and count else None
        semantics, fake_image, real_image = self.augmented(
            semantics, fake_image, real_image, draws=draws, training=training
        )
        fake_image = tf.cast(fake_image, real_image.dtype)
        shown = real_image if with_real else None
        fake, real = self.discriminate(semantics, fake_image, shown, training=training)
        return Seen(semantics, fake_image, real_image, fake, real, class_weights, own)

    def generate(
        self,
        semantics: Semantics,
        real_image: tf.Tensor,
        *,
        draw: int = 0,
        noise: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor] | None]:
        """Pictures in the style of real ones where there is an encoder, else in a drawn one.

        Args:
            semantics: the label maps.
            real_image: `[B, H, W, 3]`, the pictures whose style to encode.
            draw: int, tells the draws of one step apart.
            noise: `[B, style_length]`, standard normal; None to draw it.
            training: bool.

        Returns:
            `(image, (mu, logvar))`, the latter None without an encoder.
        """
        style, gaussian = self.style(
            semantics, real_image, draw=draw, noise=noise, training=training
        )
        image = self.generator(**styled(self.generator, semantics, style), training=training)
        return image, gaussian

    def style(
        self,
        semantics: Semantics,
        real_image: tf.Tensor,
        *,
        draw: int = 0,
        noise: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor | None, tuple[tf.Tensor, tf.Tensor] | None]:
        """`(style, (mu, logvar))` of pictures; see `generate`. None for what there is none of.

        A style is whole: z, and the styles of all classes after it; see `split_style`.
        """
        if not style_length(self.generator):
            return None, None
        noise = self.noise(tf.shape(real_image)[0], draw) if noise is None else noise
        if self.encoder is None:
            return noise, None
        gaussian = encode_style(
            self.encoder, real_image, semantics, training and self.encoder.trainable
        )
        if not self.encoder.trainable:
            # Tapes follow weights that are not trained, too.
            gaussian = tuple(tf.stop_gradient(each) for each in gaussian)
        return self.sampling(*gaussian, noise=noise), gaussian

    def augmented(
        self,
        semantics: Semantics,
        fake_image: tf.Tensor,
        real_image: tf.Tensor,
        *,
        draws: tf.Tensor | None = None,
        training: bool = True,
    ) -> tuple[Semantics, tf.Tensor, tf.Tensor]:
        """What the discriminator sees of them in training: fake and real of an example alike.

        Args:
            semantics: the label maps.
            fake_image: `[B, H, W, 3]`.
            real_image: `[B, H, W, 3]`.
            draws: float `[B, num_draws]` in [0, 1), random numbers that begin with those of the
                augmentation; None to draw those of the generator's pass of this step.
            training: bool; all is left as it is where False, or where there is no augmentation.

        Returns:
            `(semantics, fake_image, real_image)`; see `DiffAugment` for what the labels are.
        """
        if self.augment is None or not training:
            return semantics, fake_image, real_image
        if draws is None:
            draws = self.draws(real_image.shape[0] or tf.shape(real_image)[0], 0)
        assert draws is not None
        draws = draws[:, : self.augment.num_draws]
        fake_image = self.augment(semantics, fake_image, draws)[1]
        semantics, real_image = self.augment(semantics, real_image, draws)
        return semantics, fake_image, real_image

    def discriminate(
        self,
        semantics: Semantics,
        fake_image: tf.Tensor,
        real_image: tf.Tensor | None,
        *,
        training: bool = False,
    ) -> tuple[list[list[tf.Tensor]], list[list[tf.Tensor]]]:
        """The discriminator's features of fake and of real pictures, in one batch, fake first."""
        if real_image is None:
            return self.discriminator(inputs=semantics, image=fake_image, training=training), []
        semantics, image = semantics.repeat(2), tf.concat([fake_image, real_image], 0)
        features = self.discriminator(inputs=semantics, image=image, training=training)
        halves = [[tf.split(feature, 2) for feature in scale] for scale in features]
        fake = [[half[0] for half in scale] for scale in halves]
        real = [[half[1] for half in scale] for scale in halves]
        return fake, real

    def noise(self, batch_size: int | tf.Tensor, draw: int) -> tf.Tensor:
        """Standard normal noise, keyed to an example's place in the global batch.

        It does not depend on how many replicas share the batch. XLA draws other numbers.

        Args:
            batch_size: this replica's share.
            draw: int, tells the draws of one step apart.

        Returns:
            float32 `[batch_size, style_length]`.
        """
        return share_of_global_batch(
            lambda size: tf.random.stateless_normal(
                [size, style_length(self.generator)], self._seed_of(draw, _STYLES)
            ),
            batch_size,
        )

    def draws(self, batch_size: int | tf.Tensor, draw: int) -> tf.Tensor | None:
        """Uniform numbers of the augmentation, then of the objective, keyed as `noise` is.

        Returns:
            float32 `[batch_size, num_draws]`, or None where none are needed.
        """
        count = (self.augment.num_draws if self.augment else 0) + self.objective.num_draws
        if not count:
            return None
        seed = self._seed_of(draw, _DRAWS)
        return share_of_global_batch(
            lambda size: tf.random.stateless_uniform([size, count], seed), batch_size
        )

    def _seed_of(self, draw, purpose):
        """`[seed, 2^16 step + 2 draw + purpose]`: no two of these four give the same numbers."""
        place = tf.cast(self.step, tf.int64) * 2**16 + (2 * draw + purpose)
        return tf.stack([tf.constant(self.seed, tf.int64), place])


def l1_loss(fake_image: tf.Tensor, real_image: tf.Tensor) -> tf.Tensor:
    """The mean absolute difference of two batches of pictures."""
    return tf.reduce_mean(tf.abs(tf.cast(fake_image, tf.float32) - tf.cast(real_image, tf.float32)))
