"""Flickr Landscapes at 256x256, labelled by a segmentation network, with the image encoder.

Command: python run.py train --config=flickr_landscapes --data_dir=data
    With --config=flickr_landscapes:official, as the official release trains:
    experiments/release.py. That takes torchvision's VGG19: --config.loss.vgg_weights=vgg19.pth.
Cost: 50 epochs of 41,000 pictures at batch 32, on 8 GPUs in the paper.
Expected: pictures in the style of a photograph (Park et al. 2019, figures 8 and 9).
Reference: Park et al. 2019, section 4 and appendix A.
"""

from collections.abc import Mapping

from experiments import release
from experiments.setup.config import Config

VARIANTS: Mapping[str, str] = release.VARIANTS


def get_config(variant: str = "") -> Config:
    """The experiment's configuration, or that of one of `VARIANTS`."""
    config = Config(name="flickr_landscapes")
    config.data.dataset = "flickr_landscapes"
    config.data.use_instance = False
    config.generator.z_dim = 256
    config.encoder.enabled = True
    # 50 epochs.
    config.train.steps = 64_100
    return release.follow_release(config, variant)
