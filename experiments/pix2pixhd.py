"""pix2pixHD, the strongest baseline of the paper, on its data sets.

Command: python run.py train --config=pix2pixhd:paper_ade20k --data_dir=data
    Settings: paper, and official, whose convolutions of stride 2 are padded by zeros, as in
    pix2pixHD's releases; data sets: coco_stuff, ade20k, cityscapes.
Cost: as the data set's own experiment; 183 million weights in the generator.
Expected: mIoU 14.6 (COCO-Stuff), 20.3 (ADE20K), 58.3 (Cityscapes); FID 111.5, 81.8, 95.0. Recalled
    from tables 1 and 3 of Park et al. 2019, and not compared with the print.
Reference: Wang et al. 2018, https://arxiv.org/abs/1711.11585: least squares, instance norm, no
    spectral norm, three layers of the discriminator, Adam with a rate of 2e-4 and a beta 1 of 0.5.
"""

from experiments.paper import PIX2PIXHD, from_table, table
from experiments.setup.config import Config

_SETTINGS = {
    "paper": ("pix2pixHD", PIX2PIXHD),
    "official": (
        "pix2pixHD as released",
        {**PIX2PIXHD, "generator.down_padding": "zeros"},
    ),
}
VARIANTS = table(_SETTINGS)


def get_config(variant: str = "") -> Config:
    """The configuration of one of `VARIANTS`; on COCO-Stuff if none is given."""
    return from_table("pix2pixhd", variant, _SETTINGS)
