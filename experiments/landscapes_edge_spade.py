"""A narrow SPADE generator for phones and browsers, on the built-in landscapes at 256x256.

Command: python run.py train --config=landscapes_edge_spade, then
    python run.py export --model=runs/landscapes_edge_spade --format=litert --output_dir=DIR.
    With --config.generator.filters=32 it is twice as wide.
Cost: about an hour on two CPU cores; docs/EDGE.md has the cost of a picture.
Expected: what landscapes.py makes, at twice the size and with less detail.
Reference: Park et al. 2019, with a quarter of the filters (or half of them) and a quarter of the
    hidden ones. Batch statistics, which fold into the convolutions: nothing is averaged on the
    device.
"""

from experiments import landscapes
from experiments.setup.config import Config


def get_config() -> Config:
    """The experiment's configuration."""
    config = landscapes.paper_losses()
    config.name = "landscapes_edge_spade"
    # The pictures are those of 128x128, enlarged.
    config.data.load_height = config.data.load_width = 256
    config.data.height = config.data.width = 256
    config.generator.filters = 16
    config.generator.hidden_filters = 32
    # What docs/EDGE.md was measured with.
    config.generator.upsampling = "nearest"
    config.generator.padding = "zeros"
    config.train.steps = 1500
    config.optimizer.decay_steps = 500
    config.train.sample_every = config.train.checkpoint_every = 250
    return config
