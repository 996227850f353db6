"""Converts the options of official checkpoints to an experiment's configuration, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments.setup.config import Config, ConfigError

if TYPE_CHECKING:
    from spade_tf.convert.nvlabs.checkpoint import Checkpoint

_GAN_MODES = {"hinge": "hinge", "ls": "least_squares", "original": "original", "w": "wasserstein"}


def config_of(name: str, checkpoint: Checkpoint) -> Config:
    """Makes a configuration with a checkpoint's networks and the training settings of its options.

    Args:
        name: name of the experiment.
        checkpoint: a checkpoint with a generator.

    Raises:
        ConfigError: if a training option cannot be used.
    """
    from spade_tf.convert.nvlabs.checkpoint import Options

    official, given = checkpoint.options, checkpoint.given
    generator = checkpoint.networks.generator
    assert generator is not None
    config = Config(name=name)
    data, settings, discriminator = config.data, config.generator, config.discriminator
    data.height, data.width = official.image_size
    # In the proportion of the paper's 286 to 256.
    data.load_height, data.load_width = (-(-size * 286 // 256) for size in official.image_size)
    data.use_instance = not official.no_instance
    settings.filters = official.ngf
    settings.norm = generator.conditioning.norm
    settings.spectral_norm = generator.spectral_norm
    settings.conditioning = generator.conditioning.kind
    settings.kernel_size = generator.conditioning.kernel_size
    if isinstance(official, Options):
        settings.num_upsampling_layers = official.num_upsampling_layers
        settings.z_dim = official.z_dim if official.use_vae else 0
    else:
        settings.architecture = "pix2pixhd"
        settings.num_downsamplings = official.resnet_n_downsample
        settings.num_blocks = official.resnet_n_blocks
        settings.initial_kernel_size = official.resnet_initial_kernel_size
        settings.block_kernel_size = official.resnet_kernel_size
        settings.down_padding = generator.down_padding
    discriminator.filters = official.ndf
    discriminator.num_scales = official.num_D
    discriminator.num_layers = official.n_layers_D
    discriminator.spectral_norm, discriminator.norm = official.discriminator_norm
    config.encoder.enabled = checkpoint.networks.encoder is not None
    config.encoder.filters = official.ngf if config.encoder.enabled else config.encoder.filters
    _set_training(config, given)
    return config


def _set_training(config: Config, given: Mapping[str, Any]) -> None:
    if given.get("gan_mode", "hinge") not in _GAN_MODES:
        raise ConfigError(
            f"gan_mode={given['gan_mode']!r} of the options: give one of {', '.join(_GAN_MODES)}"
        )
    loss, optimizer = config.loss, config.optimizer
    loss.adversarial = _GAN_MODES[given.get("gan_mode", "hinge")]
    loss.feature_matching_weight = _number(given, "lambda_feat", loss.feature_matching_weight)
    loss.perceptual_weight = _number(given, "lambda_vgg", loss.perceptual_weight)
    loss.kl_weight = _number(given, "lambda_kld", loss.kl_weight)
    if given.get("no_ganFeat_loss"):
        loss.feature_matching_weight = 0.0
    if given.get("no_vgg_loss"):
        loss.perceptual_weight = 0.0
    optimizer.beta_1 = _number(given, "beta1", optimizer.beta_1)
    optimizer.beta_2 = _number(given, "beta2", optimizer.beta_2)
    rate = _number(given, "lr", 2 * optimizer.generator_learning_rate)
    # The two time-scale update rule. The official release derives both rates from one.
    apart = 1 if given.get("no_TTUR") else 2
    optimizer.generator_learning_rate = rate / apart
    optimizer.discriminator_learning_rate = rate * apart


def _number(given: Mapping[str, Any], name: str, default: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name}={value!r} of the options: give a number")
    return float(value)


def training_options(config: Config) -> dict[str, Any]:
    """The official training options of a configuration; `config_of` reads them back."""
    loss, optimizer = config.loss, config.optimizer
    modes = {ours: theirs for theirs, ours in _GAN_MODES.items()}
    options = {
        "gan_mode": modes[loss.adversarial],
        "lambda_feat": loss.feature_matching_weight,
        "lambda_vgg": loss.perceptual_weight,
        "lambda_kld": loss.kl_weight,
        "no_ganFeat_loss": not loss.feature_matching_weight,
        "no_vgg_loss": not loss.perceptual_weight,
        "beta1": optimizer.beta_1,
        "beta2": optimizer.beta_2,
    }
    apart = optimizer.discriminator_learning_rate / optimizer.generator_learning_rate
    # Other proportions of the two rates have no official option.
    if apart in (1.0, 4.0):
        rate = optimizer.generator_learning_rate * apart**0.5
        options |= {"lr": rate, "no_TTUR": apart == 1.0}
    return options
