"""Which settings of an experiment have no effect, because of other settings."""

from __future__ import annotations

from collections.abc import Callable

from experiments.setup.config import Config
from experiments.setup.validation import PIXEL_DISCRIMINATORS


def lacks_for_effect(config: Config, key: str) -> str:
    """What a key would have an effect with; empty where it has one.

    Args:
        config: the experiment.
        key: such as "encoder.filters".
    """
    for keys, has_effect, needed in _EFFECTS:
        if key in keys and not has_effect(config):
            return needed
    return ""


def _is_pix2pixhd(config: Config) -> bool:
    return config.generator.architecture == "pix2pixhd"


_OF_VGG = ("loss.vgg_weights", "loss.vgg_preprocessing", "loss.perceptual_layers")

# Keys, whether they have an effect, and what they would have one with.
_EFFECTS: tuple[tuple[tuple[str, ...], Callable[[Config], bool], str], ...] = (
    (
        ("encoder.filters", "encoder.trainable", "encoder.per_class"),
        lambda config: config.encoder.enabled,
        "--config.encoder.enabled=True",
    ),
    (
        ("loss.kl_weight", "loss.kl_examples"),
        lambda config: config.encoder.enabled and config.encoder.trainable,
        "--config.encoder.enabled=True and --config.encoder.trainable=True",
    ),
    (
        (
            "generator.num_downsamplings",
            "generator.num_blocks",
            "generator.initial_kernel_size",
            "generator.block_kernel_size",
            "generator.down_padding",
        ),
        _is_pix2pixhd,
        "--config.generator.architecture=pix2pixhd",
    ),
    (
        (
            "generator.num_upsampling_layers",
            "generator.upsampling",
            "generator.noise_inputs",
            "generator.padding",
            "train.rematerialize",
        ),
        lambda config: not _is_pix2pixhd(config),
        "--config.generator.architecture=spade",
    ),
    (
        ("train.spade_form",),
        lambda config: config.generator.conditioning == "spade",
        "--config.generator.conditioning=spade",
    ),
    (
        ("generator.hidden_filters", "generator.kernel_size"),
        lambda config: config.generator.conditioning in ("spade", "shared_spade"),
        "--config.generator.conditioning=spade or shared_spade",
    ),
    (
        (
            "discriminator.num_scales",
            "discriminator.num_layers",
            "discriminator.norm",
            "discriminator.spectral_norm",
        ),
        lambda config: config.discriminator.architecture == "patch",
        "--config.discriminator.architecture=patch",
    ),
    (
        ("discriminator.backbone", "discriminator.backbone_weights"),
        lambda config: "projected" in config.discriminator.architecture,
        "--config.discriminator.architecture=projected or projected_segmentation",
    ),
    (
        ("discriminator.full_resolution",),
        lambda config: config.discriminator.architecture == "projected_segmentation",
        "--config.discriminator.architecture=projected_segmentation",
    ),
    (
        ("loss.adversarial",),
        lambda config: config.discriminator.architecture not in PIXEL_DISCRIMINATORS,
        "--config.discriminator.architecture=patch or projected",
    ),
    (
        ("loss.label_mix_weight",),
        lambda config: config.discriminator.architecture in PIXEL_DISCRIMINATORS,
        "--config.discriminator.architecture=segmentation or projected_segmentation",
    ),
    (
        (*_OF_VGG, "loss.perceptual_network"),
        lambda config: config.loss.perceptual_weight > 0,
        "--config.loss.perceptual_weight",
    ),
    (
        _OF_VGG,
        lambda config: config.loss.perceptual_network == "vgg",
        "--config.loss.perceptual_network=vgg",
    ),
    (
        ("loss.distillation_output_weight", "loss.distillation_feature_weight"),
        lambda config: bool(config.teacher),
        "--config.teacher",
    ),
    (
        ("train.eval_features", "train.keep_best"),
        lambda config: config.train.eval_every > 0,
        "--config.train.eval_every",
    ),
    (
        ("train.eval_images",),
        lambda config: config.train.eval_every > 0 and bool(config.train.eval_features),
        "--config.train.eval_every and --config.train.eval_features",
    ),
    (
        ("train.statistics_batches",),
        lambda config: (
            bool(config.train.average_decay) and config.generator.norm in ("batch", "local_batch")
        ),
        "--config.train.average_decay and --config.generator.norm=batch",
    ),
    (
        ("data.load_height", "data.load_width"),
        lambda config: config.data.preprocess not in ("crop", "fixed", "none"),
        "a --config.data.preprocess that scales to it",
    ),
    (
        ("data.load_height",),
        lambda config: not config.data.preprocess.startswith("scale_width"),
        "a --config.data.preprocess that uses the height",
    ),
)
