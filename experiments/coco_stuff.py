"""COCO-Stuff at 256x256: 182 classes, unknown, and instance edges.

Command: python run.py train --config=coco_stuff --data_dir=data --workdir=runs/coco
    With --config=coco_stuff:official, as the official release trains: experiments/release.py.
    That takes torchvision's VGG19: --config.loss.vgg_weights=vgg19.pth.
Cost: 100 epochs of 118,000 pictures at batch 32, on 8 GPUs in the paper.
Expected: mIoU 37.4, pixel accuracy 67.9, FID 22.6 (Park et al. 2019, table 1).
Reference: Park et al. 2019, section 4 and appendix A.
"""

from collections.abc import Mapping

from experiments import release
from experiments.setup.config import Config

VARIANTS: Mapping[str, str] = release.VARIANTS


def get_config(variant: str = "") -> Config:
    """The experiment's configuration, or that of one of `VARIANTS`."""
    config = Config(name="coco_stuff")
    config.data.dataset = "coco_stuff"
    # 100 epochs of 118,287 pictures.
    config.train.steps = 369_600
    return release.follow_release(config, variant)
