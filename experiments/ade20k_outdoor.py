"""The outdoor scenes of ADE20K at 256x256.

Command: python run.py train --config=ade20k_outdoor --data_dir=data
    With --config=ade20k_outdoor:official, as the official release trains: experiments/release.py.
    That takes torchvision's VGG19: --config.loss.vgg_weights=vgg19.pth.
Cost: 200 epochs at batch 32, on 8 GPUs in the paper.
Expected: mIoU 30.8, pixel accuracy 82.9, FID 63.3 (Park et al. 2019, table 1).
Reference: Park et al. 2019, section 4 and appendix A.
"""

from collections.abc import Mapping

from experiments import release
from experiments.setup.config import Config

VARIANTS: Mapping[str, str] = release.VARIANTS


def get_config(variant: str = "") -> Config:
    """The experiment's configuration, or that of one of `VARIANTS`."""
    config = Config(name="ade20k_outdoor")
    config.data.dataset = "ade20k/outdoor"
    config.data.use_instance = False
    # The paper gives 200 epochs: of some 6,000 pictures, the rates falling over the last half.
    config.train.steps = 37_500
    config.optimizer.decay_steps = 18_750
    return release.follow_release(config, variant)
