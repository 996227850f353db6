"""pix2pixHD++: pix2pixHD with the tricks of SPADE's training; plain, with Concat, with SPADE.

Command: python run.py train --config=pix2pixhdpp:spade_ade20k --data_dir=data
    Settings: plain, concat (label map to the input of every convolution), concat_blocks (to that of
    the residual blocks), spade, compact (48 filters); data sets: coco_stuff, ade20k, cityscapes.
Cost: as the data set's own experiment; generators of 183, 212, 195, 237 and 103 million weights on
    ADE20K.
Expected: mIoU on COCO-Stuff, ADE20K and Cityscapes: plain 32.7, 38.3, 58.8; Concat 32.9, 38.9,
    57.1; SPADE 34.4, 39.0, 62.2; compact 31.6, 37.3, 57.6. Recalled from table 3 of the paper, and
    not compared with the print.
Reference: Park et al. 2019, section 4 and table 3. The text describes concat; the number of weights
    in the table is that of concat_blocks.
"""

from experiments.paper import CONCAT, PIX2PIXHDPP, from_table, table
from experiments.setup.config import Config

_SETTINGS = {
    "plain": ("pix2pixHD++", PIX2PIXHDPP),
    "concat": ("pix2pixHD++ with Concat", {**PIX2PIXHDPP, **CONCAT}),
    "concat_blocks": (
        "pix2pixHD++ with Concat to blocks",
        {**PIX2PIXHDPP, "generator.concat": "blocks"},
    ),
    "spade": (
        "pix2pixHD++ with SPADE",
        {**PIX2PIXHDPP, "generator.conditioning": "spade"},
    ),
    "compact": ("compact pix2pixHD++", {**PIX2PIXHDPP, "generator.filters": 48}),
}
VARIANTS = table(_SETTINGS)


def get_config(variant: str = "") -> Config:
    """The configuration of one of `VARIANTS`; plain on COCO-Stuff if none is given."""
    return from_table("pix2pixhdpp", variant, _SETTINGS)
