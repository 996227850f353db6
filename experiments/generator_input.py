"""Where the generator starts from: the label map, or a random vector of 256 numbers.

Command: python run.py train --config=generator_input:noise_ade20k --data_dir=data
    Starts map (the paper's) and noise; _coco_stuff, _ade20k, _cityscapes.
Cost: as the data set's own experiment.
Expected: mIoU on COCO-Stuff, ADE20K and Cityscapes: map 35.2, 38.5, 62.3; noise 35.3, 38.3, 61.6.
    Recalled from table 4 of the paper, and not compared with the print.
Reference: Park et al. 2019, table 4.
"""

from experiments.paper import from_table, table
from experiments.setup.config import Config

_SETTINGS = {
    "map": ("SPADE from the label map", {"generator.z_dim": 0}),
    "noise": ("SPADE from noise", {"generator.z_dim": 256}),
}
VARIANTS = table(_SETTINGS)


def get_config(variant: str = "") -> Config:
    """The configuration of one of `VARIANTS`; from the map on COCO-Stuff if none is given."""
    return from_table("generator_input", variant, _SETTINGS)
