"""GauGAN: generator, discriminator and encoder, and how they are trained together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.gaussian_sampling import GaussianSampling
from spade_tf.layers.symbolic import TracesSymbolicCalls
from spade_tf.losses.adversarial import AdversarialLoss
from spade_tf.networks.styles import check_same_styles
from spade_tf.training.accumulation import Losses
from spade_tf.training.augmentation import Augment
from spade_tf.training.ema import WeightAverage
from spade_tf.training.empty_batches import at_least_one_row, num_rows
from spade_tf.training.epoch_means import EpochMeans
from spade_tf.training.guard import NonFiniteGuard
from spade_tf.training.objectives import objective_of
from spade_tf.training.optimizers import check_compile_arguments, get_pair
from spade_tf.training.options import LossWeights, Updates, check_options
from spade_tf.training.saving import SavedWhole
from spade_tf.training.step_evaluation import StepEvaluation
from spade_tf.training.step_updates import StepUpdates


@keras.saving.register_keras_serializable("spade_tf")
class GauGAN(TracesSymbolicCalls, StepUpdates, StepEvaluation, SavedWhole):
    """Trains a generator of pictures from label maps against a discriminator.

    `compile`, `fit`, `evaluate`, `predict`, `save` and `keras.saving.load_model` work as with any
    Keras model, on one device or several. A batch is a mapping: `image` float `[B, H, W, 3]` in
    [-1, 1], `label` int `[B, H, W]`, and `instance` int `[B, H, W]` where edges are used.

    Args:
        generator: `(inputs, z, training) -> image`, such as `SPADEGenerator`.
        discriminator: `(inputs, image, training) -> features`, such as
            `MultiscaleDiscriminator`.
        encoder: `(image, training) -> (mu, logvar)`, such as `ConvEncoder`, or, for a generator
            with styles of classes, `(image, inputs, training)`, `ClassEncoder`; None for none. One
            that is frozen (`trainable = False`) only infers, and has no KL divergence.
        average_generator: a generator of the same make, to hold the moving average of the
            weights; None for none. With it, `call`, `evaluate` and `predict` use the average.
        adversarial_loss: an `AdversarialLoss`. Default the hinge loss. None for a discriminator
            that has losses of its own, such as `SegmentationDiscriminator`.
        perceptual_loss: `(real_image, fake_image) -> scalar`, such as `PerceptualLoss`; None for
            none.
        loss_weights: a `LossWeights`. Default the paper's.
        updates: an `Updates`: steps of the discriminator, accumulation, clipping, averaging.
        augment: a `DiffAugment`, applied to all that the discriminator sees in training, with
            the same random numbers for the fake and the real picture of an example; None for
            none.
        guard: a `NonFiniteGuard`; None to let NaN through.
        seed: int of 64 bits, of the noise that styles are drawn from, and of the augmentation. The
            noise is a function of seed, step, draw and place in the global batch; no two of them
            share theirs.

    Raises:
        ValueError: if the styles of encoder and generator differ in length, an option is out of
            its range, or a loss does not fit the discriminator.

    Reference: Park et al. 2019, section 3.3 and appendix A.

    Example:
        >>> import numpy as np
        >>> from spade_tf import GauGAN, MultiscaleDiscriminator, SPADEGenerator
        >>> gan = GauGAN(
        ...     SPADEGenerator(3, image_size=(32, 32), filters=1),
        ...     MultiscaleDiscriminator(3, filters=1, num_layers=2),
        ... )
        >>> gan.predict(np.zeros((2, 32, 32), "int32"), verbose=0).shape
        (2, 32, 32, 3)
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        encoder: keras.Model | None = None,
        *,
        average_generator: keras.Model | None = None,
        adversarial_loss: AdversarialLoss | None = None,
        perceptual_loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        loss_weights: LossWeights | None = None,
        updates: Updates | None = None,
        augment: Augment | None = None,
        guard: NonFiniteGuard | None = None,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if encoder is not None:
            check_same_styles(generator, encoder)
        self.loss_weights = loss_weights or LossWeights()
        self.updates = updates or Updates()
        check_options(self.loss_weights, self.updates)
        self.generator = generator
        self.discriminator = discriminator
        self.encoder = encoder
        self.average_generator = average_generator
        self.average: WeightAverage | None = None
        if average_generator is not None:
            self.average = WeightAverage(
                generator.variables,
                self.updates.average_decay,
                averages=average_generator.variables,
            )
        self.sampling = GaussianSampling()
        self.sampling.built = True
        self.objective = objective_of(discriminator, adversarial_loss, self.loss_weights)
        self.adversarial_loss = self.objective.loss
        self.perceptual_loss = perceptual_loss
        # Tracked, so that a file of the model holds the weights of the features.
        extractor = getattr(perceptual_loss, "extractor", None)
        self.perceptual_features = extractor if isinstance(extractor, keras.layers.Layer) else None
        self.augment = augment
        self.guard = guard
        self.seed = seed
        self._make_state()

    def _make_state(self):
        # Counts training steps: the noise of a step is a function of the seed and of it.
        self.step = self.add_weight(
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name="step",
        )
        names = ["adversarial", "feature_matching", "l1"]
        names += ["perceptual"] if self.perceptual_loss is not None else []
        # Names of metrics may hold no "/".
        self.evaluation_means = {
            f"{mode}/{name}": keras.metrics.Mean(name=f"{mode}_{name}")
            for mode in ("inference", "training")
            for name in names
        }
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
                `keras.Model.compile`. `jit_compile` is False by default.

        Raises:
            ValueError: if another argument is given, which would have no effect, or one optimizer
                for both.
        """
        check_compile_arguments(kwargs)
        pair = get_pair(generator_optimizer, discriminator_optimizer)
        # XLA, Keras's default, draws other noise and cannot look label maps up.
        arguments = {"jit_compile": False, **kwargs}
        super().compile(optimizer=None, **arguments)
        self.compile_arguments = arguments
        self.generator_optimizer, self.discriminator_optimizer = pair.generator, pair.discriminator
        self.optimizer = pair
        self.generator_optimizer.build(self.generator_weights)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def generator_weights(self) -> list[keras.Variable]:
        """Trainable weights of the generator, and of the encoder with it."""
        weights = self.generator.trainable_variables
        return weights + (self.encoder.trainable_variables if self.encoder else [])

    def checkpoint_groups(self) -> dict[str, list[keras.Variable]]:
        """All variables but the optimizers', by the name of the group that a checkpoint has."""
        groups = {
            "generator": self.generator.variables,
            "discriminator": self.discriminator.variables,
            "training": [self.step],
        }
        for name in ("average_generator", "encoder"):
            network = getattr(self, name)
            if network is not None:
                groups[name] = network.variables
        return groups

    def fit(self, x: Any = None, *, callbacks: Any = None, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit` does; the losses of an epoch are the means over its steps.

        Args:
            x: a `tf.data.Dataset` of batches as of `train_step`, or such a mapping of arrays. With
                several devices a batch is the global one; drop a remainder that they cannot share.
            callbacks: Keras callbacks. `model.optimizer.learning_rate` sets both rates. With
                `steps_per_execution`, they see the last step of each execution only.
            **kwargs: of `keras.Model.fit`.

        Returns:
            The `History`.
        """
        given = [] if callbacks is None else callbacks
        given = list(given) if isinstance(given, list | tuple) else [given]
        if isinstance(x, tf.data.Dataset):
            # Keras warns that it does not shuffle data sets, unless it is told not to.
            kwargs = {"shuffle": False, **kwargs}
        return super().fit(x, callbacks=[EpochMeans(), *given], **kwargs)

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> Losses:
        """One iteration: the generator's update, then the discriminator's.

        Args:
            batch: `image` float `[B, H, W, 3]` in [-1, 1], `label` int `[B, H, W]`, and
                `instance` int `[B, H, W]` where edges are used. `B` is the replica's share.

        Returns:
            The losses by name, of this replica; their mean over replicas is the global batch's.
        """
        batch = _unpacked(batch)
        semantics = self.semantics(batch)
        losses = self.update_generator(semantics, batch["image"])
        for draw in range(1, 1 + self.updates.discriminator_steps):
            losses |= self.update_discriminator(semantics, batch["image"], draw=draw)
        return self._count(losses)

    def warmup_step(self, batch: Mapping[str, tf.Tensor]) -> Losses:
        """One iteration before the discriminator takes part: it neither says nor learns anything.

        The generator learns from the perceptual and the L1 loss alone, the encoder from the KL
        divergence, too; a student also from its teacher. This brings layout and colour early, and
        averages textures: make few such steps.

        Args:
            batch: as of `train_step`.

        Returns:
            The losses by name.

        Raises:
            ValueError: if there is neither a perceptual nor an L1 loss.

        Reference: Chen and Koltun 2017, section 3.3, https://arxiv.org/abs/1707.09405, whose
            cascaded refinement networks are trained so to the end.
        """
        batch = _unpacked(batch)
        if self.perceptual_loss is None and not self.loss_weights.l1:
            raise ValueError(
                "a warm-up needs a loss without the discriminator: give a perceptual_loss, or "
                "LossWeights.l1 > 0"
            )
        semantics = self.semantics(batch)
        return self._count(self.update_generator(semantics, batch["image"], warmup=True))

    def _count(self, losses):
        if self.average is not None:
            self.average.update(tf.convert_to_tensor(self.step))
        self.step.assign_add(1)
        return losses

    def test_step(self, batch: Mapping[str, tf.Tensor]) -> Losses:
        """Adds the `evaluation_losses` of a batch to the means of an evaluation.

        Args:
            batch: as of `train_step`.

        Returns:
            The means over all examples so far, by name.
        """
        batch = _unpacked(batch)
        # The last batch may be too small for all devices: the row that stands in weighs nothing.
        size = num_rows(batch)
        for name, value in self.evaluation_losses(at_least_one_row(batch)).items():
            self.evaluation_means[name].update_state(value, sample_weight=size)
        return {name: mean.result() for name, mean in self.evaluation_means.items()}

    def predict_step(self, data: Any) -> tf.Tensor:
        """Pictures of a batch: `call` without training.

        Args:
            data: as `inputs` of `call`; in a tuple, the first part.
        """
        inputs = keras.utils.unpack_x_y_sample_weight(data)[0]
        return self(at_least_one_row(inputs), training=False)[: num_rows(inputs)]

    def get_metrics_result(self) -> dict[str, Any]:
        """The means of an evaluation, if there was one; training reports losses, not metrics."""
        # On several devices, a count is one variable per device, which the conversion adds up.
        means = self.evaluation_means.items()
        counted = {name: float(tf.convert_to_tensor(mean.count)) for name, mean in means}
        return {name: mean.result() for name, mean in means if counted[name]}

    def call(self, inputs, z=None, training=False):
        """Pictures `[B, H, W, 3]` in [-1, 1] of label maps.

        Args:
            inputs: a batch as of `train_step`, whose `image` is ignored; or label maps alone, as
                the generator takes them. A mapping may hold `z` `[B, z_dim]`, too.
            z: `[B, z_dim]`; drawn if there is none. Ignored without a `z_dim`.
            training: bool. The averaged generator, if there is one, is used where False.
        """
        if z is None and isinstance(inputs, Mapping):
            z = inputs.get("z")
        averaged = None if training else self.average_generator
        generator = averaged or self.generator
        return generator(inputs=self.semantics(inputs), z=z, training=training)


def _unpacked(batch):
    """The mapping of a batch: some methods of Keras wrap it in a tuple."""
    batch = dict(keras.utils.unpack_x_y_sample_weight(batch)[0])
    image = tf.convert_to_tensor(batch["image"])
    if not image.dtype.is_floating:
        raise ValueError(
            f"image must be float in [-1, 1]: received {image.dtype.name}; divide it by 127.5 and "
            "subtract 1"
        )
    return batch | {"image": tf.cast(image, tf.float32)}
