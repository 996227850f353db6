"""What an experiment may set, its defaults, and what is checked before anything runs."""

# Annotations stay evaluated here: config_flags reads the types of fields from them.
import dataclasses
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.setup.data_dirs import data_dir_entries

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
DISCRIMINATOR_NORMS = ("instance", "batch", "local_batch", "none")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
PREPROCESS = (
    "resize_and_crop",
    "crop",
    "scale_width",
    "scale_width_and_crop",
    "scale_short_side",
    "scale_short_side_and_crop",
    "fixed",
    "none",
)
AUGMENTATIONS = ("color", "translation", "cutout")
ADVERSARIAL_LOSSES = ("hinge", "least_squares", "original", "wasserstein")
UPSAMPLING_LAYERS = {"normal": 32, "more": 64, "most": 128}


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one line."""


@dataclass(slots=True)
class DataConfig:
    """Which data set, and the size of the pictures. Sizes are in pixels."""

    # As `prepare` names it; a configuration of it after a slash where there are several.
    dataset: str = "paired_folder"
    # Pictures are scaled to this size, then a crop of the next is taken at random.
    load_height: int = 286
    load_width: int = 286
    height: int = 256
    width: int = 256
    flip: bool = True
    # How a picture gets its size; see `pipelines.reading.input_pipeline.make_dataset`.
    preprocess: str = "resize_and_crop"
    # Largest relative change of brightness, contrast and saturation; 0 for none.
    color_jitter: float = 0.0
    # "skip" leaves a damaged record out, and counts it.
    on_corrupt_record: str = "stop"
    # Whether the edges between instances are shown to the networks; None: if the data set has them.
    use_instance: bool | None = None
    train_split: str = "train"
    # An empty one: samples are drawn from the training split.
    val_split: str = "val"
    shuffle_buffer: int = 2048


@dataclass(slots=True)
class GeneratorConfig:
    """The generator: see `SPADEGenerator` and `Pix2PixHDGenerator` in spade_tf.networks."""

    # "spade" or "pix2pixhd".
    architecture: str = "spade"
    # How the label map enters the normalisations; see `spade_tf.layers.conditioning`.
    conditioning: str = "spade"
    # "convs" or "blocks" for the paper's Concat baselines, "none" for none.
    concat: str = "none"
    filters: int = 64
    hidden_filters: int = 128
    kernel_size: int = 3
    norm: str = "batch"
    num_upsampling_layers: str = "normal"
    spectral_norm: bool = True
    # Length of the style vector that the generator starts from; 0 to start from the label map.
    z_dim: int = 0
    # Of "pix2pixhd" alone: halvings of the resolution, residual blocks, and how convolutions of
    # stride 2 are padded: "reflect" as in the paper, or "zeros" as in its releases.
    num_downsamplings: int = 4
    num_blocks: int = 9
    initial_kernel_size: int = 7
    block_kernel_size: int = 3
    down_padding: str = "reflect"


@dataclass(slots=True)
class DiscriminatorConfig:
    """The discriminator; see `spade_tf.networks.discriminator.MultiscaleDiscriminator`."""

    filters: int = 64
    num_scales: int = 2
    num_layers: int = 4
    # Of the middle layers: "instance", "batch", "local_batch" or "none".
    norm: str = "instance"
    spectral_norm: bool = True


@dataclass(slots=True)
class EncoderConfig:
    """The encoder of styles; see `spade_tf.networks.encoder.ConvEncoder`."""

    # Trained with the generator, which then needs a z_dim: the paper's image encoder (VAE).
    enabled: bool = False
    filters: int = 64


@dataclass(slots=True)
class LossConfig:
    """The losses and their weights (Park et al. 2019, appendix A)."""

    adversarial: str = "hinge"
    feature_matching_weight: float = 10.0
    # 0 turns the perceptual loss off.
    perceptual_weight: float = 10.0
    # "imagenet" (downloaded) or a file of weights; see `spade_tf.convert.vgg.load_vgg`.
    vgg_weights: str = "imagenet"
    kl_weight: float = 0.05
    # How many examples the KL divergence is summed over: what one GPU of the paper's held.
    kl_examples: float = 4.0
    # R1 penalty on real pictures; 0 for none.
    r1_weight: float = 0.0
    # With a teacher: L1 to its pictures, and relative squared distance to its blocks' features.
    distillation_output_weight: float = 10.0
    distillation_feature_weight: float = 1.0


@dataclass(slots=True)
class OptimizerConfig:
    """Adam, with the two time-scale update rule."""

    generator_learning_rate: float = 1e-4
    discriminator_learning_rate: float = 4e-4
    beta_1: float = 0.0
    beta_2: float = 0.999
    # Beside sqrt(v): gradients far below it move a weight in proportion to themselves, not by a
    # whole step in a direction that rounding may have chosen.
    epsilon: float = 1e-8
    # The rates fall linearly to zero over this many last steps; 0 keeps them constant. In a
    # training of fewer steps they fall over all of them.
    decay_steps: int = 0
    # Decoupled from the gradient; 0 for none.
    generator_weight_decay: float = 0.0
    discriminator_weight_decay: float = 0.0
    # Largest norm of a network's gradients together; 0 for any.
    clip_norm: float = 0.0


@dataclass(slots=True)
class TrainConfig:
    """How long to train, and what to write meanwhile. Intervals are in steps."""

    steps: int = 100_000
    batch_size: int = 32
    seed: int = 0
    log_every: int = 10
    sample_every: int = 500
    num_samples: int = 8
    checkpoint_every: int = 500
    max_to_keep: int = 3
    # 0: no evaluation on the validation split.
    eval_every: int = 0
    # 0: no histograms of weights in TensorBoard.
    histograms_every: int = 0
    # "float32", "mixed_bfloat16" or "mixed_float16".
    precision: str = "float32"
    # Of the moving average of the generator's weights, which samples and exports use; 0 for none.
    average_decay: float = 0.999
    # Batches that the averaged generator's batch statistics are estimated from.
    statistics_batches: int = 8
    discriminator_steps: int = 1
    # Parts that a device goes through its batch in, one after the other, to save memory.
    accumulation_steps: int = 1
    # Whether the generator's blocks are computed again for their gradients, to save memory.
    rematerialize: bool = False
    jit_compile: bool = False
    # The same numbers every time, at some cost in speed.
    deterministic: bool = False
    # Differentiable augmentation, as in "color,translation,cutout"; empty for none.
    augment: str = ""
    # How often to go back to the last checkpoint, at half the rate, after NaN or infinity.
    max_rollbacks: int = 3


@dataclass(slots=True)
class Config:
    """An experiment."""

    name: str = "experiment"
    # Workdir of a trained model to learn from, as its student; empty for none.
    teacher: str = ""
    # Workdir, or checkpoint in it, of a training whose weights this one starts from; empty for
    # none.
    init_from: str = ""
    data: DataConfig = field(default_factory=DataConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def validate(self) -> None:
        """Checks values that their types cannot; overrides do not run `__post_init__`.

        Raises:
            ConfigError: naming the first field that cannot be used.
        """
        positive = {
            "data": ("load_height", "load_width", "height", "width", "shuffle_buffer"),
            "generator": ("filters", "hidden_filters", "kernel_size", "num_downsamplings"),
            "discriminator": ("filters", "num_scales", "num_layers"),
            "encoder": ("filters",),
            "train": (
                "steps",
                "batch_size",
                "log_every",
                "sample_every",
                "num_samples",
                "checkpoint_every",
                "max_to_keep",
                "statistics_batches",
                "discriminator_steps",
                "accumulation_steps",
            ),
        }
        for section, names in positive.items():
            for name in names:
                value = getattr(getattr(self, section), name)
                _require(value >= 1, f"{section}.{name}", value, "give 1 or more")
        weights = ["feature_matching", "perceptual", "kl", "r1"]
        weights += ["distillation_output", "distillation_feature"]
        for name in (*(f"{weight}_weight" for weight in weights), "kl_examples"):
            value = getattr(self.loss, name)
            _require(value >= 0, f"loss.{name}", value, "give 0 or more")
        for name in ("generator_weight_decay", "discriminator_weight_decay", "clip_norm"):
            value = getattr(self.optimizer, name)
            _require(value >= 0, f"optimizer.{name}", value, "give 0 or more")
        for name in ("generator_learning_rate", "discriminator_learning_rate", "epsilon"):
            value = getattr(self.optimizer, name)
            _require(value > 0, f"optimizer.{name}", value, "give more than 0")
        for name in ("beta_1", "beta_2"):
            value = getattr(self.optimizer, name)
            _require(0 <= value < 1, f"optimizer.{name}", value, "give at least 0, less than 1")
        _choice(self.loss.adversarial, "loss.adversarial", ADVERSARIAL_LOSSES)
        self._validate_generator()
        _choice(self.discriminator.norm, "discriminator.norm", DISCRIMINATOR_NORMS)
        _choice(self.data.preprocess, "data.preprocess", PREPROCESS)
        _choice(self.data.on_corrupt_record, "data.on_corrupt_record", ("stop", "skip"))
        jitter = self.data.color_jitter
        _require(0 <= jitter < 1, "data.color_jitter", jitter, "give at least 0, less than 1")
        _choice(self.train.precision, "train.precision", PRECISIONS)
        policies = list(filter(None, self.train.augment.split(",")))
        for policy in policies:
            _choice(policy, "train.augment", AUGMENTATIONS)
        once = len(set(policies)) == len(policies)
        _require(once, "train.augment", self.train.augment, "name each once")
        for name in ("eval_every", "histograms_every", "max_rollbacks"):
            value = getattr(self.train, name)
            _require(value >= 0, f"train.{name}", value, "give 0 or more")
        decay = self.train.average_decay
        _require(0 <= decay < 1, "train.average_decay", decay, "give at least 0, less than 1")
        decay_steps = self.optimizer.decay_steps
        _require(decay_steps >= 0, "optimizer.decay_steps", decay_steps, "give 0 or more")
        clip = self.optimizer.clip_norm
        _require(
            not clip or self.train.precision != "mixed_float16",
            "optimizer.clip_norm",
            clip,
            "gradients under mixed_float16 are scaled: give train.precision=mixed_bfloat16, or 0",
        )
        parts, batch = self.train.accumulation_steps, self.train.batch_size
        remedy = f"it must divide train.batch_size={batch}"
        _require(batch % parts == 0, "train.accumulation_steps", parts, remedy)
        upsampling = self.generator.num_upsampling_layers
        _choice(upsampling, "generator.num_upsampling_layers", tuple(UPSAMPLING_LAYERS))
        multiple, makes = UPSAMPLING_LAYERS[upsampling], f"of {upsampling} upsampling layers"
        if self.generator.architecture == "pix2pixhd":
            halvings = self.generator.num_downsamplings
            multiple, makes = 2**halvings, f"of {halvings} downsamplings"
        for name in ("height", "width"):
            value = getattr(self.data, name)
            nearest = max(round(value / multiple), 1) * multiple
            _require(
                value % multiple == 0,
                f"data.{name}",
                value,
                f"a generator {makes} makes multiples of {multiple}: give {nearest}",
            )
            load = getattr(self.data, f"load_{name}")
            _require(
                load >= value,
                f"data.load_{name}",
                load,
                f"the crop, data.{name}={value}, is larger: give {value} or more",
            )
        z_dim = self.generator.z_dim
        _require(z_dim >= 0, "generator.z_dim", z_dim, "give 0 or more")
        if self.encoder.enabled:
            _require(z_dim > 0, "generator.z_dim", z_dim, "the encoder needs one: give 256, say")
            shorter = min(self.data.height, self.data.width)
            multiple = 2 ** min(6, int(math.log2(shorter / 4)))
            for name in ("height", "width"):
                value = getattr(self.data, name)
                _require(
                    value % multiple == 0,
                    f"data.{name}",
                    value,
                    f"the encoder reads multiples of {multiple} here: give one, or "
                    "encoder.enabled=False",
                )

    def _validate_generator(self) -> None:
        generator = self.generator
        _choice(generator.architecture, "generator.architecture", ("spade", "pix2pixhd"))
        _choice(generator.conditioning, "generator.conditioning", CONDITIONINGS)
        _choice(generator.concat, "generator.concat", ("none", "convs", "blocks"))
        _choice(generator.down_padding, "generator.down_padding", ("reflect", "zeros"))
        is_plain = (generator.architecture, generator.conditioning) == ("pix2pixhd", "none")
        _choice(generator.norm, "generator.norm", (*NORMS, "none") if is_plain else NORMS)
        blocks = generator.num_blocks
        _require(blocks >= 0, "generator.num_blocks", blocks, "give 0 or more")
        for name in ("kernel_size", "initial_kernel_size", "block_kernel_size"):
            size = getattr(generator, name)
            _require(size % 2 == 1, f"generator.{name}", size, "give an odd number")

    def to_dict(self) -> dict[str, Any]:
        """The configuration as a dictionary that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Config":
        """The configuration that `to_dict` made.

        Raises:
            ConfigError: naming a key that there is none of here.
        """
        sections = {item.name: item for item in dataclasses.fields(cls)}
        arguments: dict[str, Any] = {}
        for key, value in values.items():
            if key not in sections:
                raise ConfigError(f"config: {key!r} received; there is no such key")
            factory = sections[key].default_factory
            if factory is dataclasses.MISSING:
                arguments[key] = value
                continue
            try:
                arguments[key] = factory(**value)  # type: ignore[call-arg]
            except TypeError as error:
                raise ConfigError(f"config.{key}: {error}") from error
        return cls(**arguments)


# What may differ between two runs in one workdir: how long they are and what they write.
_ADJUSTABLE = {
    "train": (
        "steps",
        "batch_size",
        "log_every",
        "sample_every",
        "num_samples",
        "checkpoint_every",
        "max_to_keep",
        "eval_every",
        "histograms_every",
        "accumulation_steps",
        "rematerialize",
        "jit_compile",
        "deterministic",
        "max_rollbacks",
    ),
}


def is_begun(workdir: str | os.PathLike[str]) -> bool:
    """Whether a workdir holds a checkpoint, which binds it to its configuration.

    A run that failed before its first checkpoint binds nothing: whatever was wrong can be put
    right in the same workdir.
    """
    path = Path(workdir)
    return (path / "config.json").exists() and any(path.glob("checkpoints/*.index"))


def follow_instances(config: Config, has_instance: bool) -> Config:
    """The configuration with `data.use_instance` decided.

    Args:
        config: of the run.
        has_instance: whether its data set has instance maps.

    Raises:
        ConfigError: if instances are asked for and there are none.
    """
    wanted = config.data.use_instance
    if wanted and not has_instance:
        raise ConfigError(
            f"--config.data.use_instance=True: the data set {config.data.dataset} was prepared "
            "without instance maps; give False, or leave it out to follow the data set"
        )
    decided = has_instance if wanted is None else wanted
    return dataclasses.replace(config, data=dataclasses.replace(config.data, use_instance=decided))


def check_same(config: Config, workdir: str | os.PathLike[str]) -> None:
    """Raises a ConfigError where a workdir was begun with another configuration.

    Args:
        config: of the run that is about to start; a `data.use_instance` of None is not compared.
        workdir: its directory, with a checkpoint if a run was begun there.
    """
    path = Path(workdir) / "config.json"
    if not is_begun(workdir):
        return
    old = read_workdir(workdir)["config"]
    if old.get("teacher", "") != config.teacher:
        begun = old.get("teacher") or "no teacher"
        raise ConfigError(
            f"{path}: this workdir was begun with {begun}, not --config.teacher={config.teacher}; "
            f"choose another --workdir, or --config.teacher={old.get('teacher', '')}"
        )
    for section, values in config.to_dict().items():
        if not isinstance(values, dict):
            continue
        for name, value in values.items():
            before = old.get(section, {}).get(name, value)
            if (section, name, value) == ("data", "use_instance", None):
                continue
            if before != value and name not in _ADJUSTABLE.get(section, ()):
                raise ConfigError(
                    f"{path}: this workdir was begun with {section}.{name}={before!r}, not "
                    f"{value!r}; choose another --workdir, or --config.{section}.{name}={before}"
                )


def check_same_labels(labels: dict[str, Any], workdir: str | os.PathLike[str]) -> None:
    """Raises a ConfigError where a workdir was begun on a data set of other classes.

    Args:
        labels: the label set of the data set, as a dictionary.
        workdir: its directory, with a checkpoint if a run was begun there.
    """
    path = Path(workdir) / "config.json"
    if not is_begun(workdir):
        return
    before, now = read_workdir(workdir)["labels"]["class_names"], list(labels["class_names"])
    if before != now:
        raise ConfigError(
            f"{path}: this workdir was begun on {len(before)} classes, and the data set has "
            f"{len(now)}, or others; choose another --workdir or --data_dir"
        )


def write_workdir(
    config: Config, workdir: str | os.PathLike[str], labels: dict[str, Any], data_dir: str
) -> None:
    """Writes `config.json`: all that `generate` and `export` need to know.

    Args:
        config: of the run.
        workdir: its directory.
        labels: the label set of its data set, as a dictionary.
        data_dir: where the data set was prepared. Its absolute path is kept, and its place beside
            the workdir, so that it is found from anywhere, and after both were moved together.
    """
    path = Path(workdir) / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"config": config.to_dict(), "labels": labels, **data_dir_entries(data_dir, workdir)}
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(temporary, path)


def read_workdir(workdir: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a workdir's `config.json`: `config`, `labels`, `data_dir` (`data_dir_of`).

    Raises:
        ConfigError: if there is none, or it cannot be read.
    """
    path = Path(workdir) / "config.json"
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(
            f"{workdir}: no config.json in it; give the workdir of a training run"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    missing = [key for key in ("config", "labels", "data_dir") if key not in content]
    if missing:
        raise ConfigError(f"{path}: no {', '.join(missing)} in it; it was not written by train")
    return content


def _require(condition: bool, name: str, value: Any, remedy: str) -> None:
    if not condition:
        raise ConfigError(f"--config.{name}={value}: {remedy}")


def _choice(value: str, name: str, choices: tuple[str, ...]) -> None:
    _require(value in choices, name, value, f"give one of {', '.join(choices)}")
