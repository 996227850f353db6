"""GauGAN: generator, discriminator and encoder, and how they are trained together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from spade_tf.layers.gaussian_sampling import GaussianSampling
from spade_tf.layers.semantics import Semantics
from spade_tf.losses.adversarial import AdversarialLoss, HingeLoss
from spade_tf.losses.feature_matching import feature_matching_loss
from spade_tf.losses.kl import kl_divergence

Losses = dict[str, tf.Tensor]


class GauGAN(keras.Model):
    """Trains a generator of pictures from label maps against a discriminator.

    Args:
        generator: `(inputs, z, training) -> image`, such as `SPADEGenerator`.
        discriminator: `(inputs, image, training) -> features`, such as
            `MultiscaleDiscriminator`.
        encoder: `(image, training) -> (mu, logvar)`, such as `ConvEncoder`; None for none.
        adversarial_loss: an `AdversarialLoss`. Default the hinge loss.
        feature_matching_weight: float >= 0. Default 10.
        perceptual_loss: `(real_image, fake_image) -> scalar`; None for none.
        perceptual_weight: float >= 0. Default 10.
        kl_weight: float >= 0. Default 0.05.
        kl_examples: float > 0, how many examples the KL divergence is summed over. Default 4. The
            official release sums over what one GPU holds, 4 of its batch of 32, so that the
            weight of the term follows the number of GPUs; here it does not.
        seed: int, of the noise that styles are drawn from.

    Reference: Park et al. 2019, section 3.3 and appendix A.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        encoder: keras.Model | None = None,
        *,
        adversarial_loss: AdversarialLoss | None = None,
        feature_matching_weight: float = 10.0,
        perceptual_loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        perceptual_weight: float = 10.0,
        kl_weight: float = 0.05,
        kl_examples: float = 4.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.generator = generator
        self.discriminator = discriminator
        self.encoder = encoder
        self.sampling = GaussianSampling()
        self.adversarial_loss = adversarial_loss or HingeLoss()
        self.feature_matching_weight = feature_matching_weight
        self.perceptual_loss = perceptual_loss
        self.perceptual_weight = perceptual_weight
        self.kl_weight = kl_weight
        self.kl_examples = kl_examples
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
        generator_optimizer: keras.optimizers.Optimizer | None = None,
        discriminator_optimizer: keras.optimizers.Optimizer | None = None,
        **kwargs,
    ) -> None:
        """Sets the optimizers: by default Adam with the paper's two time-scale update rule.

        Args:
            generator_optimizer: of generator and encoder. Default Adam of rate 1e-4, betas 0 and
                0.999.
            discriminator_optimizer: Default Adam of rate 4e-4, betas 0 and 0.999.
            **kwargs: to `keras.Model.compile`.
        """
        super().compile(**kwargs)
        self.generator_optimizer = generator_optimizer or adam(1e-4)
        self.discriminator_optimizer = discriminator_optimizer or adam(4e-4)
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
        g_losses = self.update_generator(semantics, batch["image"])
        d_losses = self.update_discriminator(semantics, batch["image"])
        self.step.assign_add(1)
        return g_losses | d_losses

    def semantics(self, batch: Mapping[str, tf.Tensor]) -> Semantics:
        """What all networks condition on, made once per step."""
        return Semantics.from_inputs(
            batch,
            num_labels=self.generator.num_labels,
            use_instance_edges=self.generator.use_instance_edges,
            dtype=self.generator.compute_dtype,
        )

    def update_generator(self, semantics: Semantics, real_image: tf.Tensor) -> Losses:
        """One step of generator and encoder: adversarial, feature, perceptual and KL losses."""
        with tf.GradientTape() as tape:
            losses = self.generator_losses(semantics, real_image)
            total = tf.add_n(list(losses.values()))
        self._apply(tape, total, self.generator_weights, self.generator_optimizer)
        return losses

    def update_discriminator(self, semantics: Semantics, real_image: tf.Tensor) -> Losses:
        """One step of the discriminator, on pictures that the updated generator makes anew."""
        fake_image = self.generate(semantics, real_image, draw=1, training=True)[0]
        fake_image = tf.stop_gradient(fake_image)
        with tf.GradientTape() as tape:
            losses = self.discriminator_losses(semantics, real_image, fake_image)
            total = tf.add_n(list(losses.values()))
        weights = self.discriminator.trainable_variables
        self._apply(tape, total, weights, self.discriminator_optimizer)
        return losses

    def generator_losses(
        self, semantics: Semantics, real_image: tf.Tensor, training: bool = True
    ) -> Losses:
        """What generator and encoder minimise, by name and weighted."""
        fake_image, style = self.generate(semantics, real_image, draw=0, training=training)
        fake, real = self.discriminate(semantics, fake_image, real_image, training=training)
        losses = {"generator/adversarial": self.adversarial_loss.generator(_logits(fake))}
        if self.feature_matching_weight:
            losses["generator/feature_matching"] = (
                self.feature_matching_weight * feature_matching_loss(fake, real)
            )
        if self.perceptual_loss is not None:
            losses["generator/perceptual"] = self.perceptual_weight * self.perceptual_loss(
                real_image, fake_image
            )
        if style is not None:
            mu, logvar = style
            examples = self.kl_examples / tf.cast(tf.shape(mu)[0], tf.float32)
            losses["generator/kl"] = self.kl_weight * examples * kl_divergence(mu, logvar)
        return losses

    def discriminator_losses(
        self,
        semantics: Semantics,
        real_image: tf.Tensor,
        fake_image: tf.Tensor,
        training: bool = True,
    ) -> Losses:
        """What the discriminator minimises, by name."""
        fake, real = self.discriminate(semantics, fake_image, real_image, training=training)
        return {
            "discriminator/fake": self.adversarial_loss.discriminator_fake(_logits(fake)),
            "discriminator/real": self.adversarial_loss.discriminator_real(_logits(real)),
        }

    def generate(
        self, semantics: Semantics, real_image: tf.Tensor, *, draw: int = 0, training: bool = False
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor] | None]:
        """Pictures in the style of real ones where there is an encoder, else in a drawn one.

        Args:
            semantics: the label maps.
            real_image: `[B, H, W, 3]`, the pictures whose style to encode.
            draw: int, tells the draws of one step apart.
            training: bool.

        Returns:
            `(image, (mu, logvar))`, the latter None without an encoder.
        """
        z, style = None, None
        if self.generator.z_dim is not None:
            z = self.noise(tf.shape(real_image)[0], draw)
            if self.encoder is not None:
                style = self.encoder(real_image, training=training)
                z = self.sampling(*style, noise=z)
        image = self.generator(inputs=semantics, z=z, training=training)
        return image, style

    def discriminate(
        self,
        semantics: Semantics,
        fake_image: tf.Tensor,
        real_image: tf.Tensor,
        *,
        training: bool = False,
    ) -> tuple[list[list[tf.Tensor]], list[list[tf.Tensor]]]:
        """The discriminator's features of fake and of real pictures, in one batch, fake first."""
        features = self.discriminator(
            inputs=semantics.repeat(2),
            image=tf.concat([tf.cast(fake_image, real_image.dtype), real_image], 0),
            training=training,
        )
        halves = [[tf.split(feature, 2) for feature in scale] for scale in features]
        fake = [[half[0] for half in scale] for scale in halves]
        real = [[half[1] for half in scale] for scale in halves]
        return fake, real

    def noise(self, batch_size: int | tf.Tensor, draw: int) -> tf.Tensor:
        """Standard normal noise, keyed to an example's place in the global batch.

        The draw of an example does not depend on how many replicas share the batch.

        Args:
            batch_size: this replica's share.
            draw: int, tells the draws of one step apart.

        Returns:
            float32 `[batch_size, z_dim]`.
        """
        replicas = tf.distribute.get_replica_context()
        index, count = 0, 1
        if replicas is not None:
            index, count = replicas.replica_id_in_sync_group, replicas.num_replicas_in_sync
        seed = tf.stack([self.seed * 2 + draw, tf.cast(self.step, tf.int32)])
        shape = [batch_size * count, self.generator.z_dim]
        return tf.random.stateless_normal(shape, seed)[index * batch_size :][:batch_size]

    def call(self, batch, z=None, training=False):
        """Pictures `[B, H, W, 3]` in [-1, 1] of the batch's label maps."""
        return self.generator(inputs=self.semantics(batch), z=z, training=training)

    def _apply(self, tape, total, weights, optimizer):
        # The optimizer sums gradients over replicas; the loss is the mean over them.
        replicas = tf.distribute.get_replica_context()
        share = 1.0 / (replicas.num_replicas_in_sync if replicas is not None else 1)
        gradients = tape.gradient(
            total, [weight.value for weight in weights], output_gradients=tf.constant(share)
        )
        optimizer.apply(gradients, weights)


def adam(learning_rate: float, beta_1: float = 0.0, beta_2: float = 0.999) -> keras.optimizers.Adam:
    """Adam as the paper sets it.

    Args:
        learning_rate: float > 0.
        beta_1: float in [0, 1). Default 0; released code defaults to 0.9.
        beta_2: float in [0, 1). Default 0.999.

    Returns:
        A Keras optimizer.
    """
    return keras.optimizers.Adam(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=1e-8)


def _logits(features):
    return [scale[-1] for scale in features]
