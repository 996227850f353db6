"""The trained networks of a workdir."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from experiments.setup.config import Config, ConfigError
from experiments.setup.data_dirs import data_dir_of
from experiments.setup.networks import make_encoder, make_generator
from experiments.setup.workdir import read_workdir
from pipelines.schema import LabelSet
from spade_tf.networks.class_encoder import ClassEncoder
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator
from spade_tf.training.checkpoints import restore_networks


class TrainedModel(NamedTuple):
    """The trained networks of a workdir, and what they were trained on.

    Attributes:
        generator: the trained generator, with averaged weights if there are any.
        encoder: the trained encoder, or None.
        config: configuration of the run.
        labels: the label set.
        data_dir: where its data set was prepared.
        step: training steps done.
    """

    generator: SPADEGenerator | Pix2PixHDGenerator
    encoder: ConvEncoder | ClassEncoder | None
    config: Config
    labels: LabelSet
    data_dir: str
    step: int


def load_workdir(workdir: str | os.PathLike[str]) -> TrainedModel:
    """Loads the networks of a training run, with the weights of its newest checkpoint.

    Args:
        workdir: workdir of the run.

    Raises:
        ConfigError: if it is not a workdir.
        CheckpointError: if it holds no matching checkpoint.
    """
    if not Path(workdir).is_dir():
        raise ConfigError(f"{workdir}: no such folder; give the workdir of a training")
    content = read_workdir(workdir)
    config = Config.from_dict(content["config"])
    labels = LabelSet.from_metadata(content["labels"])
    generator, encoder = make_generator(config, labels), make_encoder(config, labels)
    networks = {"average_generator" if config.train.average_decay else "generator": generator}
    step = restore_networks(Path(workdir) / "checkpoints", encoder=encoder, **networks)
    return TrainedModel(generator, encoder, config, labels, data_dir_of(content, workdir), step)
