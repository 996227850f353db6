"""Checks of a configuration before anything runs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, cast, get_args

from experiments.setup.config import Config, ConfigError
from experiments.setup.feature_networks import SIZES, check_independent
from experiments.setup.loss_networks import loss_networks
from pipelines.reading.preprocess import PREPROCESS

NORMS = ("batch", "local_batch", "instance", "layer", "group")
CONDITIONINGS = (
    "spade",
    "shared_spade",
    "clade",
    "conditional_batch",
    "adain",
    "affine",
    "none",
)
DISCRIMINATORS = ("patch", "projected", "segmentation", "projected_segmentation")
# Those that find the class of every pixel, and what heights and widths must be multiples of.
PIXEL_DISCRIMINATORS = {"segmentation": 4, "projected_segmentation": 32}
BACKBONES = ("efficientnet_lite0", "vgg16")
PERCEPTUAL_NETWORKS = ("vgg", "efficientnet_lite0")
DISCRIMINATOR_NORMS = ("instance", "batch", "local_batch", "none")
# Scores of which the best model is kept.
KEPT = ("l1", "frechet_distance", "kernel_distance")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
AUGMENTATIONS = ("color", "translation", "cutout")
ADVERSARIAL_LOSSES = ("hinge", "least_squares", "original", "wasserstein")
UPSAMPLINGS = ("nearest", "bilinear")
PADDINGS = ("zeros", "reflect", "replicate")
UPSAMPLING_LAYERS = {"normal": 32, "more": 64, "most": 128}


def validate(config: Config) -> None:
    """Checks the types and values of all fields, alone and together.

    Call it after overrides such as `--config.train.steps=0`: they are type-checked, which what a
    configuration file sets is not, but do not run `__post_init__`.

    Args:
        config: the configuration, with its overrides.

    Raises:
        ConfigError: naming the first field that cannot be used, its value, and what is allowed.
    """
    _validate_types(config)
    _validate_bounds(config)
    _validate_choices(config)
    _validate_generator(config)
    _validate_training(config)
    _validate_discriminator(config)
    _validate_evaluation(config)
    _validate_size(config)
    _validate_style(config)


_TYPES = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    type(None): "None",
}


def _validate_types(config: Any, prefix: str = "") -> None:
    for item in dataclasses.fields(config):
        value, name = getattr(config, item.name), prefix + item.name
        kinds = get_args(item.type) or (item.type,)
        if dataclasses.is_dataclass(kinds[0]) and isinstance(value, cast("type", kinds[0])):
            _validate_types(value, f"{name}.")
            continue
        known = [_TYPES[kind] for kind in kinds if kind in _TYPES] or ["what the experiment had"]
        # A bool is an int to Python, and an int will do where a float is asked for.
        fits = type(value) in kinds or (type(value) is int and float in kinds)
        _require(fits, name, repr(value), f"give {' or '.join(known)}")


# Rules for numbers: a test, and the advice if it fails.
_NUMBERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "at least 1": (lambda value: value >= 1, "give 1 or more"),
    "at least 0": (lambda value: value >= 0, "give 0 or more"),
    "more than 0": (lambda value: value > 0, "give more than 0"),
    "a share": (lambda value: 0 <= value < 1, "give at least 0, less than 1"),
    "odd": (lambda value: value % 2 == 1, "give an odd number"),
}
_BOUNDS = (
    ("at least 1", "data", "load_height load_width height width shuffle_buffer"),
    ("at least 1", "generator", "filters hidden_filters kernel_size num_downsamplings"),
    ("at least 1", "discriminator", "filters num_scales num_layers"),
    ("at least 1", "encoder", "filters"),
    ("at least 1", "train", "steps batch_size log_every sample_every num_samples max_to_keep"),
    (
        "at least 1",
        "train",
        "checkpoint_every statistics_batches discriminator_steps accumulation_steps",
    ),
    (
        "at least 0",
        "loss",
        "feature_matching_weight perceptual_weight kl_weight kl_examples",
    ),
    (
        "at least 0",
        "loss",
        "l1_weight stripe_weight r1_weight distillation_output_weight distillation_feature_weight "
        "label_mix_weight warmup_steps",
    ),
    (
        "at least 0",
        "optimizer",
        "generator_weight_decay discriminator_weight_decay clip_norm decay_steps",
    ),
    ("at least 0", "train", "eval_every eval_images histograms_every max_rollbacks"),
    ("at least 0", "generator", "num_blocks z_dim class_style_dim"),
    ("more than 0", "optimizer", "generator_learning_rate discriminator_learning_rate epsilon"),
    ("a share", "optimizer", "beta_1 beta_2"),
    ("a share", "train", "average_decay"),
    ("a share", "data", "color_jitter"),
    ("odd", "generator", "kernel_size initial_kernel_size block_kernel_size"),
)


def _validate_bounds(config: Config) -> None:
    for kind, section, names in _BOUNDS:
        allowed, remedy = _NUMBERS[kind]
        for name in names.split():
            value = getattr(getattr(config, section), name)
            _require(allowed(value), f"{section}.{name}", value, remedy)


def _validate_choices(config: Config) -> None:
    _choice(config.loss.adversarial, "loss.adversarial", ADVERSARIAL_LOSSES)
    _choice(config.discriminator.architecture, "discriminator.architecture", DISCRIMINATORS)
    _choice(config.discriminator.backbone, "discriminator.backbone", BACKBONES)
    _choice(config.loss.perceptual_network, "loss.perceptual_network", PERCEPTUAL_NETWORKS)
    _choice(config.loss.vgg_preprocessing, "loss.vgg_preprocessing", ("auto", "none"))
    layers = config.loss.perceptual_layers
    _require(1 <= layers <= 5, "loss.perceptual_layers", layers, "give 1 to 5")
    _choice(config.discriminator.norm, "discriminator.norm", DISCRIMINATOR_NORMS)
    _choice(config.data.preprocess, "data.preprocess", PREPROCESS)
    _choice(config.data.on_corrupt_record, "data.on_corrupt_record", ("stop", "skip"))
    _choice(config.train.precision, "train.precision", PRECISIONS)
    _choice(config.train.spade_form, "train.spade_form", ("auto", "dense"))
    upsampling = config.generator.num_upsampling_layers
    _choice(upsampling, "generator.num_upsampling_layers", tuple(UPSAMPLING_LAYERS))
    policies = list(filter(None, config.train.augment.split(",")))
    for policy in policies:
        _choice(policy, "train.augment", AUGMENTATIONS)
    once = len(set(policies)) == len(policies)
    _require(once, "train.augment", config.train.augment, "name each once")


def _validate_generator(config: Config) -> None:
    generator = config.generator
    _choice(generator.architecture, "generator.architecture", ("spade", "pix2pixhd"))
    _choice(generator.conditioning, "generator.conditioning", CONDITIONINGS)
    _choice(generator.concat, "generator.concat", ("none", "convs", "blocks"))
    _choice(generator.upsampling, "generator.upsampling", UPSAMPLINGS)
    _choice(generator.padding, "generator.padding", PADDINGS)
    _choice(generator.down_padding, "generator.down_padding", ("reflect", "zeros"))
    is_plain = (generator.architecture, generator.conditioning) == ("pix2pixhd", "none")
    _choice(generator.norm, "generator.norm", (*NORMS, "none") if is_plain else NORMS)


def _validate_training(config: Config) -> None:
    seed = config.train.seed
    _require(0 <= seed < 2**32, "train.seed", seed, "give 0 to 4294967295")
    clip = config.optimizer.clip_norm
    _require(
        not clip or config.train.precision != "mixed_float16",
        "optimizer.clip_norm",
        clip,
        "gradients under mixed_float16 are scaled: give train.precision=mixed_bfloat16, or 0",
    )
    parts, batch = config.train.accumulation_steps, config.train.batch_size
    remedy = f"it must divide train.batch_size={batch}"
    _require(batch % parts == 0, "train.accumulation_steps", parts, remedy)


def _validate_discriminator(config: Config) -> None:
    loss, architecture = config.loss, config.discriminator.architecture
    if architecture in PIXEL_DISCRIMINATORS:
        at = f"discriminator.architecture={architecture}"
        _require(
            not loss.r1_weight,
            "loss.r1_weight",
            loss.r1_weight,
            f"with {at} there is no score of being real to penalise: give 0",
        )
        _require(
            not config.data.use_canvas,
            "data.use_canvas",
            config.data.use_canvas,
            f"{at} needs label ids, and a canvas has none: give discriminator.architecture=patch",
        )
    if loss.warmup_steps:
        _require(
            loss.warmup_steps < config.train.steps,
            "loss.warmup_steps",
            loss.warmup_steps,
            f"give less than train.steps={config.train.steps}, or no step has a discriminator",
        )
        _require(
            bool(loss.l1_weight or loss.perceptual_weight),
            "loss.warmup_steps",
            loss.warmup_steps,
            "the generator would have nothing to learn from: give loss.l1_weight or "
            "loss.perceptual_weight, too",
        )


def _validate_evaluation(config: Config) -> None:
    features, best = config.train.eval_features, config.train.keep_best
    _choice(best, "train.keep_best", KEPT)
    remedy = "it needs a network: give --config.train.eval_features=efficientnet_lite2, or keep l1"
    _require(best == "l1" or bool(features), "train.keep_best", best, remedy)
    _require(config.train.eval_images != 1, "train.eval_images", 1, "give 2 or more, or 0 for all")
    if features:
        # Training takes no file of Inception's weights.
        names = tuple(name for name in SIZES if name != "inception")
        _choice(features, "train.eval_features", names)
        used = loss_networks(config.to_dict())
        check_independent("--config.train.eval_features", features, used)


def _validate_size(config: Config) -> None:
    upsampling = config.generator.num_upsampling_layers
    multiple, makes = UPSAMPLING_LAYERS[upsampling], f"of {upsampling} upsampling layers"
    if config.generator.architecture == "pix2pixhd":
        halvings = config.generator.num_downsamplings
        multiple, makes = 2**halvings, f"of {halvings} downsamplings"
    architecture = config.discriminator.architecture
    divisor = PIXEL_DISCRIMINATORS.get(architecture, 1)
    smallest = 32 if architecture == "projected" else 1
    needs, least = f"discriminator.architecture={architecture} needs", _reflected(config) * multiple
    # Both are powers of 2, so that the larger one is a multiple of the other.
    common = max(multiple, divisor)
    for name in ("height", "width"):
        value = getattr(config.data, name)
        nearest = max(round(value / common) * common, common, least, smallest)
        makes_multiples = f"a generator {makes} makes multiples of {multiple}: give {nearest}"
        reflects = f"with generator.padding=reflect the least is {least}: give that or more, or "
        for condition, remedy in (
            (value % multiple == 0, makes_multiples),
            (value % divisor == 0, f"{needs} a multiple of {divisor}: give {nearest}"),
            (value >= smallest, f"{needs} {smallest} or more: give {nearest}"),
            (value >= least, f"{reflects}generator.padding=replicate"),
        ):
            _require(condition, f"data.{name}", value, remedy)
        load = getattr(config.data, f"load_{name}")
        _require(
            load >= value,
            f"data.load_{name}",
            load,
            f"the crop, data.{name}={value}, is larger: give {value} or more",
        )


def _reflected(config: Config) -> int:
    """Pixels of the first feature map that reflection takes."""
    generator = config.generator
    if (generator.architecture, generator.padding) != ("spade", "reflect"):
        return 1
    convolves_labels = generator.conditioning in ("spade", "shared_spade")
    return max(3, generator.kernel_size if convolves_labels else 1) // 2 + 1


def _validate_class_styles(config: Config) -> None:
    generator, encoder = config.generator, config.encoder
    dim = generator.class_style_dim
    if not dim:
        return
    for name, needed in (("architecture", "spade"), ("conditioning", "spade")):
        value = getattr(generator, name)
        _require(
            value == needed,
            "generator.class_style_dim",
            dim,
            f"styles of classes need generator.{name}={needed}, not {value}: give that, or 0",
        )
    _require(
        not config.data.use_canvas,
        "generator.class_style_dim",
        dim,
        "a canvas is no class and has no style: give 0, or data.use_canvas=False",
    )
    _require(
        not config.train.rematerialize,
        "generator.class_style_dim",
        dim,
        "styles of classes would get no gradient with train.rematerialize: give "
        "train.rematerialize=False, or 0",
    )
    _require(
        encoder.per_class or not encoder.enabled,
        "encoder.per_class",
        encoder.per_class,
        f"with generator.class_style_dim={dim}, the encoder must give styles of classes: give "
        "True, or encoder.enabled=False to draw them",
    )


def _validate_style(config: Config) -> None:
    _validate_class_styles(config)
    if not config.encoder.enabled:
        return
    z_dim, class_style_dim = config.generator.z_dim, config.generator.class_style_dim
    if config.encoder.per_class:
        remedy = "encoder.per_class needs one: give 16, say"
        _require(class_style_dim > 0, "generator.class_style_dim", class_style_dim, remedy)
    else:
        _require(z_dim > 0, "generator.z_dim", z_dim, "the encoder needs one: give 256, say")
    if not z_dim:
        # Styles of classes want multiples of 4, which all sizes are.
        return
    shorter = min(config.data.height, config.data.width)
    multiple = 2 ** min(6, int(math.log2(shorter / 4)))
    for name in ("height", "width"):
        value = getattr(config.data, name)
        _require(
            value % multiple == 0,
            f"data.{name}",
            value,
            f"the encoder reads multiples of {multiple} here: give one, or encoder.enabled=False",
        )


def _require(condition: bool, name: str, value: Any, remedy: str) -> None:
    if not condition:
        raise ConfigError(f"--config.{name}={value}: {remedy}")


def _choice(value: str, name: str, choices: tuple[str, ...]) -> None:
    _require(value in choices, name, value, f"give one of {', '.join(choices)}")
