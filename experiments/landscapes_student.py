"""A student of the built-in landscapes' model: a generator half as wide, for edge devices.

Command: python run.py train --config=landscapes_student
    --config.teacher=runs/landscapes
Cost: the teacher's, and then about a second of processor time per step; without --config.teacher
    it is trained alone.
Expected: to be compared with the same generator trained alone by tests/proofs/distillation.py.
Reference: Park et al. 2019, and Li et al. 2020, https://arxiv.org/abs/2003.08936, for distillation.
"""

from experiments import landscapes
from experiments.setup.config import Config


def get_config() -> Config:
    """The experiment's configuration."""
    config = landscapes.paper_losses()
    config.name = "landscapes_student"
    config.generator.filters = 8
    config.generator.hidden_filters = 16
    return config
