"""COCO-Stuff at 256x256: 182 classes, unknown, and instance edges.

Command: python run.py train --config=coco_stuff --data_dir=data --workdir=runs/coco
Cost: 100 epochs of 118,000 pictures at batch 32, on 8 GPUs in the paper.
Expected: mIoU 37.4, pixel accuracy 67.9, FID 22.6 (Park et al. 2019, table 1).
Reference: Park et al. 2019, section 4 and appendix A.
"""

from experiments.setup.config import Config


def get_config() -> Config:
    """The experiment's configuration."""
    config = Config(name="coco_stuff")
    config.data.dataset = "coco_stuff"
    # 100 epochs of 118,287 pictures.
    config.train.steps = 369_600
    return config
