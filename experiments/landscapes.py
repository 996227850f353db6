"""Procedural landscapes at 128x128: the built-in demonstration, which needs no data.

Command: python run.py train
Cost: about ten minutes on two CPU cores.
Expected: sky, mountains, water and trees told apart at a glance; light and colour follow the
style that is drawn.
Reference: Park et al. 2019, with the image encoder of section 3.3; networks an eighth as wide.
"""

from experiments.schema import Config


def get_config() -> Config:
    """The experiment's configuration."""
    config = Config(name="landscapes")
    config.data.dataset = "landscapes"
    config.data.load_height = config.data.load_width = 128
    config.data.height = config.data.width = 128
    config.data.use_instance = True
    config.generator.filters = 8
    config.generator.hidden_filters = 32
    config.generator.z_dim = 32
    config.discriminator.filters = 16
    config.discriminator.num_layers = 3
    config.encoder.enabled = True
    config.encoder.filters = 16
    config.loss.perceptual_weight = 0.0
    config.train.steps = 1500
    config.train.batch_size = 4
    config.train.sample_every = 250
    config.train.checkpoint_every = 250
    return config
