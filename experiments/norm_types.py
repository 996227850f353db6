"""The normalisation in SPADE: batch norm over all devices or over each, or instance norm.

Command: python run.py train --config=norm_types:instance_ade20k --data_dir=data
    Norms batch (over all devices, the paper's), local_batch and instance; _coco_stuff, _ade20k,
    _cityscapes.
Cost: as the data set's own experiment. On one device, local_batch is batch.
Expected: mIoU on COCO-Stuff, ADE20K and Cityscapes: batch 35.2, 38.5, 62.3 (table 3), local_batch
    33.7, 37.9, 61.8, instance 33.9, 37.4, 58.7. Recalled from the paper's tables, and not compared
    with the print.
Reference: Park et al. 2019, table 4.
"""

from experiments.paper import from_table, table
from experiments.setup.config import Config

_SETTINGS = {
    norm: (f"SPADE, {norm.replace('_', ' ')} norm", {"generator.norm": norm})
    for norm in ("batch", "local_batch", "instance")
}
VARIANTS = table(_SETTINGS)


def get_config(variant: str = "") -> Config:
    """The configuration of one of `VARIANTS`; batch norm on COCO-Stuff if none is given."""
    return from_table("norm_types", variant, _SETTINGS)
