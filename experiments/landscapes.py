"""Procedural landscapes at 128x128: the built-in demonstration, which needs no data.

Command: python run.py train
Cost: seven minutes on two CPU cores with AVX-512, and drawing the data set takes less than one.
Expected: every class of the map told apart at a glance, with sharp outlines; ripples in sand, tufts
    in grass, rough rock; most often the light of the photograph. Contrasts, and drawn styles that
    differ, need a longer training (experiments/landscapes_shipped.py).
Reference: Park et al. 2019, with the image encoder of section 3.3; networks a quarter as wide.
    Differs from it for a training of minutes: a discriminator of pixels and a perceptual loss that
    look through EfficientNet-Lite0 (Berrada et al. 2024), which learn from fewer pictures and were
    the best of experiments/bake_off.py; the discriminator sees the picture itself too, since
    features of half the resolution do not tell fine stripes from even grass; an L1 distance in
    place of feature matching; bilinear upsampling and reflected borders, which leave no streaks to
    unlearn; noise that blocks are given (Karras et al. 2019), to make grain from.
"""

from experiments.setup.config import Config


def get_config() -> Config:
    """The experiment's configuration."""
    config = paper_losses()
    config.generator.noise_inputs = True
    config.discriminator.architecture = "projected_segmentation"
    config.discriminator.full_resolution = True
    config.loss.perceptual_network = "efficientnet_lite0"
    config.loss.perceptual_weight = 10.0
    config.loss.feature_matching_weight = 0.0
    config.loss.l1_weight = 8.0
    config.loss.kl_weight = 0.001
    config.optimizer.generator_learning_rate = 6e-4
    # Without "color": if colours change before the discriminator sees them, the generator does not
    # learn the right ones.
    config.train.augment = "translation,cutout"
    config.train.steps = 460
    return config


def paper_losses() -> Config:
    """The same data and networks with the paper's discriminator, without a frozen network.

    Other experiments on landscapes start from it.
    """
    config = Config(name="landscapes")
    config.data.dataset = "landscapes"
    config.data.load_height = config.data.load_width = 128
    config.data.height = config.data.width = 128
    config.data.use_instance = True
    config.generator.filters = 16
    config.generator.hidden_filters = 16
    config.generator.upsampling = "bilinear"
    config.generator.padding = "reflect"
    config.generator.z_dim = 16
    config.discriminator.filters = 32
    config.encoder.enabled = True
    config.encoder.filters = 16
    config.loss.perceptual_weight = 0.0
    config.loss.feature_matching_weight = 6.0
    config.loss.l1_weight = 4.0
    # Light and weather are much of these pictures: let styles carry them.
    config.loss.kl_weight = 0.002
    # Faster than the paper's rates, which are for batches of 32 and days of training.
    config.optimizer.generator_learning_rate = 4e-4
    config.optimizer.decay_steps = 200
    config.train.average_decay = 0.99
    # Networks this small gain nothing from look-ups, and a dense training starts sooner.
    config.train.spade_form = "dense"
    config.train.steps = 600
    config.train.batch_size = 4
    config.train.sample_every = 100
    config.train.checkpoint_every = 100
    return config
