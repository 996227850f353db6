"""ADE20K at 256x256: 150 classes and unknown, no instances.

Command: python run.py train --config=ade20k --data_dir=data
    With --config=ade20k:official, as the official release trains: experiments/release.py.
    That takes torchvision's VGG19: --config.loss.vgg_weights=vgg19.pth.
Cost: 200 epochs of 20,210 pictures at batch 32, on 8 GPUs in the paper.
Expected: mIoU 38.5, pixel accuracy 79.9, FID 33.9 (Park et al. 2019, table 1).
Reference: Park et al. 2019, section 4 and appendix A.
"""

from collections.abc import Mapping

from experiments import release
from experiments.setup.config import Config

VARIANTS: Mapping[str, str] = release.VARIANTS


def get_config(variant: str = "") -> Config:
    """The experiment's configuration, or that of one of `VARIANTS`."""
    config = Config(name="ade20k")
    config.data.dataset = "ade20k"
    config.data.use_instance = False
    # 200 epochs, the rates falling over the last 100.
    config.train.steps = 126_400
    config.optimizer.decay_steps = 63_200
    return release.follow_release(config, variant)
