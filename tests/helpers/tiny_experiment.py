"""The configuration of the tests' tiny model."""

import sys
from pathlib import Path

from experiments.setup.config import Config


def get_config() -> Config:
    config = Config(name="tiny")
    config.data.load_height = config.data.load_width = 72
    config.data.height = config.data.width = 64
    config.generator.filters = 2
    config.generator.hidden_filters = 4
    config.generator.z_dim = 8
    config.encoder.enabled = True
    config.encoder.filters = 2
    config.discriminator.filters = 4
    config.discriminator.num_layers = 2
    config.loss.perceptual_weight = 0.0
    config.train.steps = 4
    config.train.batch_size = 2
    config.train.log_every = 1
    config.train.sample_every = 2
    config.train.num_samples = 2
    config.train.checkpoint_every = 2
    return config


def training_command(data_dir: Path, workdir: Path, steps: int, *flags: str) -> list[str]:
    """The command line of a training of that model."""
    return [
        *(sys.executable, str(Path(__file__).parents[2] / "run.py"), "train"),
        *(f"--config={__file__}", f"--data_dir={data_dir}", f"--workdir={workdir}"),
        *(f"--config.train.steps={steps}", *flags),
    ]
