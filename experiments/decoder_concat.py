"""The decoder with Concat: the label map joins the input of every convolution, in place of SPADE.

Command: python run.py train --config=decoder_concat:concat_ade20k --data_dir=data
    Or _coco_stuff, _cityscapes.
Cost: as the data set's own experiment; 79 million weights in the generator on ADE20K.
Expected: mIoU 31.9 (COCO-Stuff), 33.6 (ADE20K), 61.1 (Cityscapes). Recalled from table 3 of the
    paper, and not compared with the print.
Reference: Park et al. 2019, section 4 and table 3.
"""

from experiments.paper import CONCAT, from_table, table
from experiments.setup.config import Config

_SETTINGS = {"concat": ("decoder with Concat", CONCAT)}
VARIANTS = table(_SETTINGS)


def get_config(variant: str = "") -> Config:
    """The configuration of one of `VARIANTS`; on COCO-Stuff if none is given."""
    return from_table("decoder_concat", variant, _SETTINGS)
