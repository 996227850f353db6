"""The outdoor scenes of ADE20K at 256x256.

Command: python run.py train --config=ade20k_outdoor --data_dir=data
Cost: 200 epochs at batch 32, on 8 GPUs in the paper.
Expected: mIoU 30.8, pixel accuracy 82.9, FID 63.3 (Park et al. 2019, table 1).
Reference: Park et al. 2019, section 4 and appendix A.
"""

from experiments.setup.config import Config


def get_config() -> Config:
    """The experiment's configuration."""
    config = Config(name="ade20k_outdoor")
    config.data.dataset = "ade20k/outdoor"
    config.data.use_instance = False
    # The paper gives 200 epochs: of some 6,000 pictures, the rates falling over the last half.
    config.train.steps = 37_500
    config.optimizer.decay_steps = 18_750
    return config
