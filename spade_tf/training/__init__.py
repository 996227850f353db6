"""Training: the model, the loop over any `tf.distribute` strategy, checkpoints, callbacks."""

from typing import TYPE_CHECKING

from spade_tf.lazy import lazily

if TYPE_CHECKING:
    from spade_tf.training.adam import Adam as Adam
    from spade_tf.training.augmentation import DiffAugment as DiffAugment
    from spade_tf.training.checkpoints import CheckpointError as CheckpointError
    from spade_tf.training.checkpoints import Checkpoints as Checkpoints
    from spade_tf.training.checkpoints import restore_networks as restore_networks
    from spade_tf.training.distillation import DistilledGauGAN as DistilledGauGAN
    from spade_tf.training.distillation import Teacher as Teacher
    from spade_tf.training.ema import WeightAverage as WeightAverage
    from spade_tf.training.gaugan import GauGAN as GauGAN
    from spade_tf.training.guard import NonFiniteError as NonFiniteError
    from spade_tf.training.guard import NonFiniteGuard as NonFiniteGuard
    from spade_tf.training.loop import train as train
    from spade_tf.training.options import LossWeights as LossWeights
    from spade_tf.training.options import Updates as Updates
    from spade_tf.training.schedules import ConstantThenLinear as ConstantThenLinear
    from spade_tf.training.strategy import make_strategy as make_strategy

__all__ = [
    "Adam",
    "CheckpointError",
    "Checkpoints",
    "ConstantThenLinear",
    "DiffAugment",
    "DistilledGauGAN",
    "GauGAN",
    "LossWeights",
    "NonFiniteError",
    "NonFiniteGuard",
    "Teacher",
    "Updates",
    "WeightAverage",
    "make_strategy",
    "restore_networks",
    "train",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Adam": "spade_tf.training.adam",
        "CheckpointError": "spade_tf.training.checkpoints",
        "Checkpoints": "spade_tf.training.checkpoints",
        "ConstantThenLinear": "spade_tf.training.schedules",
        "DiffAugment": "spade_tf.training.augmentation",
        "DistilledGauGAN": "spade_tf.training.distillation",
        "GauGAN": "spade_tf.training.gaugan",
        "LossWeights": "spade_tf.training.options",
        "NonFiniteError": "spade_tf.training.guard",
        "NonFiniteGuard": "spade_tf.training.guard",
        "Teacher": "spade_tf.training.distillation",
        "Updates": "spade_tf.training.options",
        "WeightAverage": "spade_tf.training.ema",
        "make_strategy": "spade_tf.training.strategy",
        "restore_networks": "spade_tf.training.checkpoints",
        "train": "spade_tf.training.loop",
    },
)
