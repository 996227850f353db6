"""SPADE generators of 48, 64 (the paper's) and 80 filters.

Command: python run.py train --config=capacity:filters_48_ade20k --data_dir=data
    Filters 48, 64 and 80; _coco_stuff, _ade20k, _cityscapes.
Cost: as the data set's own experiment; generators of 61, 96 and 141 million weights on ADE20K.
Expected: mIoU on COCO-Stuff, ADE20K and Cityscapes: 61 million 35.2, 38.0, 62.5; 96 million 35.2,
    38.5, 62.3; 141 million 35.3, 38.3, 62.5. Recalled from table 4 of the paper, and not compared
    with the print.
Reference: Park et al. 2019, table 4, and table 3 for the compact decoder.
"""

from experiments.paper import from_table, table
from experiments.setup.config import Config

_SETTINGS = {
    f"filters_{filters}": (f"SPADE, {filters} filters", {"generator.filters": filters})
    for filters in (64, 48, 80)
}
VARIANTS = table(_SETTINGS)


def get_config(variant: str = "") -> Config:
    """The configuration of one of `VARIANTS`; 64 filters on COCO-Stuff if none is given."""
    return from_table("capacity", variant, _SETTINGS)
