"""CLADE for phones and browsers: no convolution of the label map, on landscapes at 256x256.

Command: python run.py train --config=landscapes_edge_clade, then
    python run.py export --model=runs/landscapes_edge_clade --format=litert --output_dir=DIR.
    With --config.generator.filters=32 it is twice as wide.
Cost: about half an hour on two CPU cores; docs/EDGE.md has the cost of a picture.
Expected: as landscapes_edge_spade.py, with flatter areas: a pixel's scale and shift are those of
    its class, wherever in an area it lies.
Reference: Tan et al. 2021, https://arxiv.org/abs/2012.04644, with a quarter of the paper's
    filters (or half of them).
"""

from experiments import landscapes_edge_spade
from experiments.setup.config import Config


def get_config() -> Config:
    """The experiment's configuration."""
    config = landscapes_edge_spade.get_config()
    config.name = "landscapes_edge_clade"
    config.generator.conditioning = "clade"
    return config
