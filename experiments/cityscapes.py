"""Cityscapes at 512x256: 35 label ids and instance edges.

Command: python run.py train --config=cityscapes --data_dir=data
    With --config=cityscapes:official, as the official release trains: experiments/release.py.
    That takes torchvision's VGG19: --config.loss.vgg_weights=vgg19.pth.
Cost: 200 epochs of 2,975 pictures, on 8 GPUs in the paper.
Expected: mIoU 62.3, pixel accuracy 81.9, FID 71.8 (Park et al. 2019, table 1).
Reference: Park et al. 2019, section 4 and appendix A.
"""

from collections.abc import Mapping

from experiments import release
from experiments.setup.config import Config

VARIANTS: Mapping[str, str] = release.VARIANTS


def get_config(variant: str = "") -> Config:
    """The experiment's configuration, or that of one of `VARIANTS`."""
    config = Config(name="cityscapes")
    config.data.dataset = "cityscapes"
    config.data.load_height, config.data.load_width = 256, 512
    config.data.height, config.data.width = 256, 512
    config.data.preprocess = "fixed"
    config.generator.num_upsampling_layers = "more"
    config.train.batch_size = 16
    # 200 epochs, the rates falling over the last 100.
    config.train.steps = 37_200
    config.optimizer.decay_steps = 18_600
    return release.follow_release(config, variant)
