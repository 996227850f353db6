"""SPADE with a part of its training left out, or another discriminator, on COCO-Stuff.

Command: python run.py train --config=loss_terms:no_perceptual_coco_stuff --data_dir=data
    Settings: all (the paper's), no_perceptual, no_feature_matching, deeper_discriminator.
Cost: as coco_stuff.py.
Expected: mIoU all 35.2, no_perceptual 24.7, no_feature_matching 33.2, deeper_discriminator 34.9.
    Recalled from the paper's appendix, and not compared with the print. How deep that discriminator
    is, is not known here: this one has a layer more.
Reference: Park et al. 2019, appendix B.
"""

from experiments.paper import DATASETS, Settings, from_table, table
from experiments.setup.config import Config

_SETTINGS: Settings = {
    "all": ("SPADE", {}),
    "no_perceptual": ("SPADE without perceptual loss", {"loss.perceptual_weight": 0.0}),
    "no_feature_matching": (
        "SPADE without feature matching",
        {"loss.feature_matching_weight": 0.0},
    ),
    "deeper_discriminator": (
        "SPADE, deeper discriminator",
        {"discriminator.num_layers": 5},
    ),
}
VARIANTS = table(_SETTINGS, {"coco_stuff": DATASETS["coco_stuff"]})


def get_config(variant: str = "") -> Config:
    """The configuration of one of `VARIANTS`; with all losses if none is given."""
    return from_table("loss_terms", variant, _SETTINGS)
