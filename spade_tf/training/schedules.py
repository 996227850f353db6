"""Learning rates."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("spade_tf")
class ConstantThenLinear(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that is constant, then falls linearly to zero over the last steps.

    `rate * min(1, (total_steps - step) / decay_steps)`.

    Args:
        rate: float > 0.
        total_steps: int >= 1, steps of the whole training.
        decay_steps: int >= 0, number of last steps over which the rate falls. 0 keeps it constant.

    Raises:
        ValueError: if `decay_steps` is not between 0 and `total_steps`.

    Reference: Park et al. 2019, section 4: 100 epochs constant, then 100 of linear decay to 0.

    Example:
        >>> from spade_tf.training import ConstantThenLinear
        >>> schedule = ConstantThenLinear(0.5, total_steps=100, decay_steps=50)
        >>> [float(schedule(step)) for step in (0, 50, 75, 100)]
        [0.5, 0.5, 0.25, 0.0]
    """

    def __init__(self, rate: float, total_steps: int, decay_steps: int):
        super().__init__()
        if not 0 <= decay_steps <= total_steps:
            raise ValueError(
                f"decay_steps must be between 0 and total_steps={total_steps}: "
                f"received {decay_steps}"
            )
        self.rate = rate
        self.total_steps = total_steps
        self.decay_steps = decay_steps

    def __call__(self, step):
        """The rate of step `step`, counted from 0, as a float32 scalar."""
        if not self.decay_steps:
            return tf.constant(self.rate, tf.float32)
        left = tf.cast(self.total_steps - tf.cast(step, tf.int64), tf.float32)
        return self.rate * tf.clip_by_value(left / self.decay_steps, 0.0, 1.0)

    def get_config(self):
        """The arguments of the constructor."""
        return {
            "rate": self.rate,
            "total_steps": self.total_steps,
            "decay_steps": self.decay_steps,
        }
