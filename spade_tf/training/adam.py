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

    One operation of TensorFlow updates a weight, in place of twenty.

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

    def apply(self, grads, trainable_variables=None):
        """Updates all weights with their gradients."""
        # Once for all weights: hundreds of weights would make thousands of operations.
        step = tf.cast(self.iterations + 1, tf.float32)
        powers = tuple(tf.pow(tf.cast(beta, step.dtype), step) for beta in self._betas())
        self._of_step = {
            "beta1_power": powers[0],
            "beta2_power": powers[1],
            "beta1": tf.constant(self.beta_1, step.dtype),
            "beta2": tf.constant(self.beta_2, step.dtype),
            # TensorFlow's operation adds its epsilon to sqrt(v) before the bias of v is corrected.
            "epsilon": self.epsilon * tf.sqrt(1.0 - powers[1]),
        }
        try:
            return super().apply(grads, trainable_variables)
        finally:
            self._of_step = {}

    def update_step(self, gradient, variable, learning_rate):
        """Updates one weight with its gradient."""
        # Private to Keras. Tests that compare with Keras's own Adam would notice their removal.
        index = self._get_variable_index(variable)
        moments = {"m": self._momentums[index], "v": self._velocities[index]}
        operation = tf.raw_ops.ResourceApplyAdam
        if self.amsgrad:
            moments["vhat"] = self._velocity_hats[index]
            operation = tf.raw_ops.ResourceApplyAdamWithAmsgrad
        numbers = {**self._of_step, "lr": learning_rate, "grad": gradient}
        operation(
            var=variable.handle,
            **{name: moment.value.handle for name, moment in moments.items()},
            **{name: tf.cast(number, variable.dtype) for name, number in numbers.items()},
        )

    def _betas(self):
        return self.beta_1, self.beta_2


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
