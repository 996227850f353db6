"""Your own photographs and label maps at 256x256, with the paper's networks.

Command: python run.py prepare --dataset=paired_folder --source_dir=DIR --data_dir=data
         python run.py train --config=paired_folder --data_dir=data
Cost: as COCO-Stuff; 97 million parameters, made for GPUs.
Reference: Park et al. 2019, appendix A.
"""

from experiments.setup.config import Config


def get_config() -> Config:
    """The experiment's configuration."""
    config = Config(name="paired_folder")
    config.data.dataset = "paired_folder"
    return config
