"""GauGAN: generator, discriminator and encoder, and how they are trained together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import keras
import tensorflow as tf

from spade_tf.layers.gaussian_sampling import GaussianSampling
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.state import hold_state
from spade_tf.losses.adversarial import AdversarialLoss, HingeLoss
from spade_tf.losses.feature_matching import feature_matching_loss
from spade_tf.losses.kl import kl_divergence
from spade_tf.losses.r1 import r1_penalty
from spade_tf.training.accumulation import Losses, Part, accumulate
from spade_tf.training.adam import adam
from spade_tf.training.ema import WeightAverage
from spade_tf.training.guard import NonFiniteGuard

# What random numbers of a draw are for.
_STYLES, _AUGMENTATION = 0, 1


class Augment(Protocol):
    """What the discriminator's input is augmented with, such as `DiffAugment`."""

    num_draws: int

    def __call__(
        self, semantics: Semantics, images: tf.Tensor, draws: tf.Tensor
    ) -> tuple[Semantics, tf.Tensor]:
        """Semantics and pictures, given uniform numbers `[B, num_draws]` in [0, 1)."""


class GauGAN(keras.Model):
    """Trains a generator of pictures from label maps against a discriminator.

    Args:
        generator: `(inputs, z, training) -> image`, such as `SPADEGenerator`.
        discriminator: `(inputs, image, training) -> features`, such as
            `MultiscaleDiscriminator`.
        encoder: `(image, training) -> (mu, logvar)`, such as `ConvEncoder`; None for none. One
            that is frozen (`trainable = False`) only infers, and has no KL divergence.
        average_generator: a generator of the same make, to hold the moving average of the
            weights; None for none.
        average_decay: float in [0, 1), of that average. Default 0.999.
        adversarial_loss: an `AdversarialLoss`. Default the hinge loss.
        feature_matching_weight: float >= 0. Default 10.
        perceptual_loss: `(real_image, fake_image) -> scalar`; None for none.
        perceptual_weight: float >= 0. Default 10.
        kl_weight: float >= 0. Default 0.05.
        kl_examples: float > 0, how many examples the KL divergence is summed over. Default 4. The
            official release sums over what one GPU holds, 4 of its batch of 32, so that the
            weight of the term follows the number of GPUs; here it does not.
        r1_weight: float >= 0, of the R1 penalty on real pictures. Default 0: none.
        clip_norm: float >= 0, largest norm of a network's gradients together. Default 0: any.
        discriminator_steps: int >= 1, updates of the discriminator per one of the generator.
            Default 1.
        accumulation_steps: int >= 1, parts that a replica's batch is gone through in, one after
            the other, to save memory. Default 1. Batch normalisation then takes its statistics
            over a part; power iterations are made once per batch all the same.
        augment: a `DiffAugment`, applied to all that the discriminator sees in training, with
            the same random numbers for the fake and the real picture of an example; None for
            none.
        guard: a `NonFiniteGuard`; None to let NaN through.
        seed: int of 64 bits, of the noise that styles are drawn from, and of the augmentation. The
            noise is a function of seed, step, draw and place in the global batch; no two of them
            share theirs.

    Raises:
        ValueError: if the styles of encoder and generator differ in length.

    Reference: Park et al. 2019, section 3.3 and appendix A.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        encoder: keras.Model | None = None,
        *,
        average_generator: keras.Model | None = None,
        average_decay: float = 0.999,
        adversarial_loss: AdversarialLoss | None = None,
        feature_matching_weight: float = 10.0,
        perceptual_loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        perceptual_weight: float = 10.0,
        kl_weight: float = 0.05,
        kl_examples: float = 4.0,
        r1_weight: float = 0.0,
        clip_norm: float = 0.0,
        discriminator_steps: int = 1,
        accumulation_steps: int = 1,
        augment: Augment | None = None,
        guard: NonFiniteGuard | None = None,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        z_dim = generator.z_dim
        if encoder is not None and encoder.z_dim != z_dim:
            raise ValueError(
                "the encoder's styles must be what the generator starts from: received "
                f"z_dim={encoder.z_dim} of the encoder and {z_dim} of the generator"
            )
        self.generator = generator
        self.discriminator = discriminator
        self.encoder = encoder
        self.average_generator = average_generator
        self.average: WeightAverage | None = None
        if average_generator is not None:
            self.average = WeightAverage(
                generator.variables, average_decay, averages=average_generator.variables
            )
        self.sampling = GaussianSampling()
        self.adversarial_loss = adversarial_loss or HingeLoss()
        self.feature_matching_weight = feature_matching_weight
        self.perceptual_loss = perceptual_loss
        self.perceptual_weight = perceptual_weight
        self.kl_weight = kl_weight
        self.kl_examples = kl_examples
        self.r1_weight = r1_weight
        self.clip_norm = clip_norm
        self.discriminator_steps = discriminator_steps
        self.accumulation_steps = accumulation_steps
        self.augment = augment
        self.guard = guard
        self.seed = seed
        # Counts training steps: the noise of a step is a function of the seed and of it.
        self.step = self.add_weight(
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="step",
        )
        self.built = True

    def compile(
        self,
        generator_optimizer: keras.optimizers.Optimizer | str | None = None,
        discriminator_optimizer: keras.optimizers.Optimizer | str | None = None,
        **kwargs,
    ) -> None:
        """Sets the optimizers: by default Adam with the paper's two time-scale update rule.

        Args:
            generator_optimizer: of generator and encoder; one of Keras's, or its name. Default
                Adam of rate 1e-4, betas 0 and 0.999.
            discriminator_optimizer: likewise. Default Adam of rate 4e-4, betas 0 and 0.999.
            **kwargs: `run_eagerly`, `steps_per_execution` and `jit_compile` of
                `keras.Model.compile`.

        Raises:
            ValueError: if another argument is given, which would have no effect, or one optimizer
                for both.
        """
        for name in kwargs:
            if name not in ("run_eagerly", "steps_per_execution", "jit_compile"):
                raise ValueError(
                    f"GauGAN.compile: {name}={kwargs[name]!r} received, which would have no "
                    "effect; give generator_optimizer and discriminator_optimizer here, and "
                    "losses and their weights to GauGAN"
                )
        optimizers = [
            keras.optimizers.get(generator_optimizer or adam(1e-4)),
            keras.optimizers.get(discriminator_optimizer or adam(4e-4)),
        ]
        if optimizers[0] is optimizers[1]:
            raise ValueError(
                "GauGAN.compile: one optimizer received for both networks; give each its own"
            )
        super().compile(**kwargs)
        self.generator_optimizer, self.discriminator_optimizer = optimizers
        self.generator_optimizer.build(self.generator_weights)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def generator_weights(self) -> list[keras.Variable]:
        """Trainable weights of the generator, and of the encoder with it."""
        weights = self.generator.trainable_variables
        return weights + (self.encoder.trainable_variables if self.encoder else [])

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> Losses:
        """One iteration: the generator's update, then the discriminator's.

        Args:
            batch: `image` float `[B, H, W, 3]` in [-1, 1], `label` int `[B, H, W]`, and
                `instance` int `[B, H, W]` where edges are used. `B` is the replica's share.

        Returns:
            The losses by name, of this replica; their mean over replicas is the global batch's.
        """
        semantics = self.semantics(batch)
        losses = self.update_generator(semantics, batch["image"])
        for draw in range(1, 1 + self.discriminator_steps):
            losses |= self.update_discriminator(semantics, batch["image"], draw=draw)
        if self.average is not None:
            self.average.update(tf.convert_to_tensor(self.step))
        self.step.assign_add(1)
        return losses

    def semantics(self, batch: Mapping[str, tf.Tensor]) -> Semantics:
        """What all networks condition on, made once per step.

        A batch without `label` holds `condition`, a float map `[B, H, W, C]`, in its place.
        """
        return Semantics.from_inputs(
            batch,
            num_labels=self.generator.num_labels,
            use_instance_edges=self.generator.use_instance_edges,
            dtype=self.generator.compute_dtype,
        )

    def update_generator(self, semantics: Semantics, real_image: tf.Tensor) -> Losses:
        """One step of generator and encoder: adversarial, feature, perceptual and KL losses."""
        return self._minimize(
            lambda part, _: self.generator_losses(
                part.semantics, part.image, noise=part.noise, draws=part.draws
            ),
            self._whole(semantics, real_image, draw=0),
            self.generator_weights,
            self._optimizer("generator"),
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
                part.semantics, part.image, tf.stop_gradient(fake_image), draws=part.draws
            )

        return self._minimize(
            losses,
            self._whole(semantics, real_image, draw=draw),
            self.discriminator.trainable_variables,
            self._optimizer("discriminator"),
        )

    def generator_losses(
        self,
        semantics: Semantics,
        real_image: tf.Tensor,
        training: bool = True,
        noise: tf.Tensor | None = None,
        draws: tf.Tensor | None = None,
    ) -> Losses:
        """What generator and encoder minimise, by name and weighted."""
        fake_image, style = self.generate(semantics, real_image, noise=noise, training=training)
        losses = self.picture_losses(
            semantics, real_image, fake_image, training=training, draws=draws
        )
        if self.encoder is not None and self.encoder.trainable and style is not None:
            mu, logvar = style
            examples = self.kl_examples / tf.cast(tf.shape(mu)[0], tf.float32)
            losses["generator/kl"] = self.kl_weight * examples * kl_divergence(mu, logvar)
        return losses

    def picture_losses(
        self,
        semantics: Semantics,
        real_image: tf.Tensor,
        fake_image: tf.Tensor,
        training: bool = True,
        draws: tf.Tensor | None = None,
    ) -> Losses:
        """Those of them that look at the picture: adversarial, feature matching, perceptual."""
        fake, real = self.discriminate(
            *self.augmented(semantics, fake_image, real_image, draws=draws, training=training),
            training=training,
        )
        losses = {"generator/adversarial": self.adversarial_loss.generator(_logits(fake))}
        if self.feature_matching_weight:
            losses["generator/feature_matching"] = (
                self.feature_matching_weight * feature_matching_loss(fake, real)
            )
        if self.perceptual_loss is not None:
            losses["generator/perceptual"] = self.perceptual_weight * self.perceptual_loss(
                real_image, fake_image
            )
        return losses

    def discriminator_losses(
        self,
        semantics: Semantics,
        real_image: tf.Tensor,
        fake_image: tf.Tensor,
        training: bool = True,
        draws: tf.Tensor | None = None,
    ) -> Losses:
        """What the discriminator minimises, by name; R1 is taken where the discriminator looks."""
        semantics, fake_image, real_image = self.augmented(
            semantics, fake_image, real_image, draws=draws, training=training
        )
        fake, real = self.discriminate(semantics, fake_image, real_image, training=training)
        losses = {
            "discriminator/fake": self.adversarial_loss.discriminator_fake(_logits(fake)),
            "discriminator/real": self.adversarial_loss.discriminator_real(_logits(real)),
        }
        if self.r1_weight and training:

            def logits(image):
                with hold_state():
                    return _logits(self.discriminator(semantics.dense, image, training=True))

            losses["discriminator/r1"] = self.r1_weight * r1_penalty(logits, real_image)
        return losses

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
            noise: `[B, z_dim]`, standard normal; None to draw it.
            training: bool.

        Returns:
            `(image, (mu, logvar))`, the latter None without an encoder.
        """
        z, style = self.style(real_image, draw=draw, noise=noise, training=training)
        image = self.generator(inputs=semantics, z=z, training=training)
        return image, style

    def style(
        self,
        real_image: tf.Tensor,
        *,
        draw: int = 0,
        noise: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor | None, tuple[tf.Tensor, tf.Tensor] | None]:
        """`(z, (mu, logvar))` of pictures; see `generate`. None for what there is none of."""
        if self.generator.z_dim is None:
            return None, None
        z = self.noise(tf.shape(real_image)[0], draw) if noise is None else noise
        if self.encoder is None:
            return z, None
        style = self.encoder(real_image, training=training and self.encoder.trainable)
        return self.sampling(*style, noise=z), style

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
            draws: float `[B, num_draws]` in [0, 1), random numbers of the augmentation; None to
                draw those of the generator's pass of this step.
            training: bool; all is left as it is where False, or where there is no augmentation.

        Returns:
            `(semantics, fake_image, real_image)`; see `DiffAugment` for what the labels are.
        """
        if self.augment is None or not training:
            return semantics, fake_image, real_image
        if draws is None:
            size = real_image.shape[0] or tf.shape(real_image)[0]
            draws = self._draws(self.augment, size, 0)
        fake_image = self.augment(semantics, fake_image, draws)[1]
        semantics, real_image = self.augment(semantics, real_image, draws)
        return semantics, fake_image, real_image

    def discriminate(
        self,
        semantics: Semantics,
        fake_image: tf.Tensor,
        real_image: tf.Tensor,
        *,
        training: bool = False,
    ) -> tuple[list[list[tf.Tensor]], list[list[tf.Tensor]]]:
        """The discriminator's features of fake and of real pictures, in one batch, fake first."""
        fake_image = tf.cast(fake_image, real_image.dtype)
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
            float32 `[batch_size, z_dim]`.
        """
        return _share_of_global_batch(
            lambda size: tf.random.stateless_normal(
                [size, self.generator.z_dim], self._seed_of(draw, _STYLES)
            ),
            batch_size,
        )

    def test_step(self, batch: Mapping[str, tf.Tensor]) -> Losses:
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
        generator = self.average_generator or self.generator
        z = None
        if generator.z_dim is not None:
            z = self.noise(tf.shape(real_image)[0], 0)
            if self.encoder is not None:
                z = self.encoder(real_image, training=False)[0]
        losses = {}
        for mode in ("inference", "training"):
            with hold_state():
                fake_image = generator(inputs=semantics, z=z, training=mode == "training")
            fake, real = self.discriminate(semantics, fake_image, real_image)
            losses[f"{mode}/adversarial"] = self.adversarial_loss.generator(_logits(fake))
            losses[f"{mode}/feature_matching"] = feature_matching_loss(fake, real)
            if self.perceptual_loss is not None:
                losses[f"{mode}/perceptual"] = self.perceptual_loss(real_image, fake_image)
            difference = tf.cast(fake_image, tf.float32) - tf.cast(real_image, tf.float32)
            losses[f"{mode}/l1"] = tf.reduce_mean(tf.abs(difference))
        return losses

    def call(self, batch, z=None, training=False):
        """Pictures `[B, H, W, 3]` in [-1, 1] of the batch's label maps."""
        return self.generator(inputs=self.semantics(batch), z=z, training=training)

    def _whole(self, semantics, real_image, draw):
        """A replica's batch, with all of its chance: whoever goes through it in parts splits it."""
        # A known number of rows where there is one: parts of them are then known, too.
        size = real_image.shape[0] or tf.shape(real_image)[0]
        noise = None if self.generator.z_dim is None else self.noise(size, draw)
        draws = None if self.augment is None else self._draws(self.augment, size, draw)
        return Part(semantics, real_image, noise, draws)

    def _seed_of(self, draw, purpose):
        """`[seed, 2^16 step + 2 draw + purpose]`: no two of these four give the same numbers."""
        place = tf.cast(self.step, tf.int64) * 2**16 + (2 * draw + purpose)
        return tf.stack([tf.constant(self.seed, tf.int64), place])

    def _draws(self, augment, batch_size, draw):
        """Numbers of the augmentation, keyed as `noise` is."""
        seed = self._seed_of(draw, _AUGMENTATION)
        return _share_of_global_batch(
            lambda size: tf.random.stateless_uniform([size, augment.num_draws], seed), batch_size
        )

    def _optimizer(self, network):
        if not self.compiled:
            raise ValueError("GauGAN has no optimizers yet: call compile() before training steps")
        return getattr(self, f"{network}_optimizer")

    def _minimize(self, losses_of, whole, weights, optimizer):
        values = [weight.value for weight in weights]
        replicas = tf.distribute.get_replica_context()
        # The optimizer sums gradients over replicas; the loss is the mean over them, and parts.
        share = 1.0 / self.accumulation_steps
        if replicas is not None:
            share /= replicas.num_replicas_in_sync

        def gradients_of(part):
            with tf.GradientTape() as tape:
                losses = losses_of(part, tape)
                total = tf.add_n(list(losses.values())) * share
                if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                    total = optimizer.scale_loss(total)
            gradients = tape.gradient(total, values)
            # A lookup's gradient comes as slices, of another number on each replica.
            return losses, [None if g is None else tf.convert_to_tensor(g) for g in gradients]

        losses, sums = accumulate(gradients_of, whole, self.accumulation_steps)
        if self.guard is not None:
            # A scaled gradient may overflow: its optimizer then skips the step by itself.
            scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
            watched = [None] * len(sums) if scaled else sums
            names = [weight.path for weight in weights]
            checked = self.guard.check(losses, watched, names, tf.convert_to_tensor(self.step))
            sums = sums if scaled else checked
        if self.clip_norm:
            sums = self._clip(sums, replicas)
        optimizer.apply(sums, weights)
        return losses

    def _clip(self, gradients, replicas):
        # By the norm of the global batch's gradient, so that it does not depend on the devices.
        count = 1 if replicas is None else replicas.num_replicas_in_sync
        given = [gradient for gradient in gradients if gradient is not None]
        if count > 1:
            given = replicas.all_reduce(tf.distribute.ReduceOp.SUM, given)
        clipped = iter(tf.clip_by_global_norm(given, self.clip_norm)[0])
        return [None if gradient is None else next(clipped) / count for gradient in gradients]


def _share_of_global_batch(draw, batch_size):
    """This replica's rows of what `draw` makes of the global batch's size."""
    replicas = tf.distribute.get_replica_context()
    index, count = 0, 1
    if replicas is not None:
        index, count = replicas.replica_id_in_sync_group, replicas.num_replicas_in_sync
    return draw(batch_size * count)[index * batch_size :][:batch_size]


def _logits(features):
    return [scale[-1] for scale in features]
