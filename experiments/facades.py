"""CMP Facades at 256x256: 12 classes, a small data set.

Command: python run.py train --config=facades --data_dir=data
Cost: 400 pictures; hours on one GPU.
Expected: windows, doors and balconies in place; no figure is published for this model.
Reference: Park et al. 2019, section 4 and appendix A.
"""

from experiments.setup.config import Config


def get_config() -> Config:
    """The experiment's configuration."""
    config = Config(name="facades")
    config.data.dataset = "facades"
    config.data.use_instance = False
    config.train.batch_size = 4
    config.train.augment = "color,translation,cutout"
    config.train.steps = 20_000
    config.optimizer.decay_steps = 10_000
    return config
