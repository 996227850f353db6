"""SIMS: a canvas of retrieved segments of training pictures, refined by a network.

Command: python run.py prepare --dataset=cityscapes --source_dir=DIR --data_dir=data
         python run.py compose --dataset=cityscapes --data_dir=data
         python run.py train --config=sims:cityscapes --data_dir=data
    The other data set of the paper's table: --config=sims:ade20k_outdoor, with
    compose --dataset=ade20k/outdoor. In miniature: the row sims of ablations.py.
Cost: as the data set's own experiment, and compose before it: 4 minutes of one core for the 8,500
    landscapes of 64x64; not measured on these data sets.
Expected: mIoU 47.2 (Cityscapes), 13.1 (ADE20K-outdoor); FID 49.7, 67.7: in the paper the lowest FID
    on Cityscapes beside a poor mIoU. Recalled from table 1 of Park et al. 2019, and not compared
    with the print.
Reference: Qi et al. 2018, "Semi-parametric Image Synthesis", https://arxiv.org/abs/1804.10992, and
    Park et al. 2019, section 4, which compares with it. Differs: segments are stretched to the
    boxes of their regions, and not warped by a network; which lies in front is a statistic of
    pairs of classes, and not a network; seams are not cut out of the canvas; and the network that
    refines the canvas is pix2pixHD++, trained adversarially with all losses of SPADE's.
"""

from collections.abc import Mapping

from experiments import ade20k_outdoor, cityscapes
from experiments.paper import PIX2PIXHDPP
from experiments.setup.config import Config

VARIANTS: Mapping[str, str] = {
    "cityscapes": "SIMS, Cityscapes",
    "ade20k_outdoor": "SIMS, ADE20K-outdoor",
}


def get_config(variant: str = "") -> Config:
    """The configuration of one of `VARIANTS`; on Cityscapes if none is given."""
    module = ade20k_outdoor if variant == "ade20k_outdoor" else cityscapes
    config = module.get_config()
    config.name = f"sims_{variant}" if variant else "sims"
    config.change({**PIX2PIXHDPP, "data.use_canvas": True})
    return config
