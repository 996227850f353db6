"""Adam that adds epsilon where its paper and PyTorch add it."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("spade_tf")
class Adam(keras.optimizers.Adam):
    """Adam: `weight -= rate * m_hat / (sqrt(v_hat) + epsilon)`.

    With `amsgrad=True`, v_hat is the corrected largest v so far, as in PyTorch.

    The arguments are those of `keras.optimizers.Adam`. Keras adds epsilon to `sqrt(v)` before the
    bias of v is corrected. With a `beta_2` of 0.999, this epsilon has 30 times the effect in the
    first steps. It matters for small gradients, such as those of weights with an initial standard
    deviation of a few hundredths.

    Reference: Kingma & Ba 2015, algorithm 1, https://arxiv.org/abs/1412.6980; Reddi et al. 2018,
        algorithm 2, https://arxiv.org/abs/1904.09237; differs: the bias is corrected.

    Example:
        >>> import keras
        >>> from spade_tf.training import Adam
        >>> weight = keras.Variable([1.0])
        >>> Adam(0.1, beta_1=0.0).apply([[2.0]], [weight])
        >>> round(float(weight[0]), 4)
        0.9
    """

    def update_step(self, gradient, variable, learning_rate):
        """Updates one weight with its gradient."""
        rate = tf.cast(learning_rate, variable.dtype)
        gradient = tf.cast(gradient, variable.dtype)
        step = tf.cast(self.iterations + 1, variable.dtype)
        # Private to Keras. Tests that compare with Keras's own Adam would notice their removal.
        momentum = self._momentums[self._get_variable_index(variable)]
        velocity = self._velocities[self._get_variable_index(variable)]
        self.assign_add(momentum, (gradient - momentum) * (1.0 - self.beta_1))
        self.assign_add(velocity, (tf.square(gradient) - velocity) * (1.0 - self.beta_2))
        if self.amsgrad:
            largest = self._velocity_hats[self._get_variable_index(variable)]
            self.assign(largest, tf.maximum(largest, velocity))
            velocity = largest
        momentum_hat = momentum / (1.0 - tf.pow(tf.cast(self.beta_1, step.dtype), step))
        velocity_hat = velocity / (1.0 - tf.pow(tf.cast(self.beta_2, step.dtype), step))
        self.assign_sub(variable, rate * momentum_hat / (tf.sqrt(velocity_hat) + self.epsilon))


def adam(
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    beta_1: float = 0.0,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float | None = None,
) -> keras.optimizers.Adam:
    """Makes Adam with the paper's settings.

    Args:
        learning_rate: float > 0, or a schedule.
        beta_1: float in [0, 1). Default 0; released code defaults to 0.9.
        beta_2: float in [0, 1). Default 0.999.
        epsilon: float > 0. Default 1e-8.
        weight_decay: float > 0, decoupled from the gradient; None for none.

    Returns:
        A Keras optimizer.
    """
    return Adam(
        learning_rate,
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=epsilon,
        weight_decay=weight_decay or None,
    )
