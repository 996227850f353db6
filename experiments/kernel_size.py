"""SPADE with other kernels: how far around a pixel its scale and shift see the label map.

Command: python run.py train --config=kernel_size:kernel_5_ade20k --data_dir=data
    Kernels 1, 3 (the paper's) and 5; _coco_stuff, _ade20k, _cityscapes.
Cost: as the data set's own experiment.
Expected: mIoU on COCO-Stuff, ADE20K and Cityscapes: kernel 5 35.0, 39.3, 61.8; kernel 3 35.2, 38.5,
    62.3; kernel 1 32.7, 35.9, 59.9. Recalled from table 4 of the paper, and not compared with the
    print.
Reference: Park et al. 2019, table 4.
"""

from experiments.paper import from_table, table
from experiments.setup.config import Config

_SETTINGS = {
    f"kernel_{size}": (f"SPADE, {size}x{size} kernels", {"generator.kernel_size": size})
    for size in (3, 1, 5)
}
VARIANTS = table(_SETTINGS)


def get_config(variant: str = "") -> Config:
    """The configuration of one of `VARIANTS`; 3x3 on COCO-Stuff if none is given."""
    return from_table("kernel_size", variant, _SETTINGS)
