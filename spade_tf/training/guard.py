"""Stops training when a loss or a gradient is NaN or infinite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf


class NonFiniteError(ArithmeticError):
    """A training step gave NaN or infinity.

    Args:
        step: int, the failed step, counted from 1.
        culprit: name of the first loss or tensor that was not finite.
    """

    def __init__(self, step: int, culprit: str):
        super().__init__(f"step {step}: {culprit} is NaN or infinite")
        self.step = step
        self.culprit = culprit


@keras.saving.register_keras_serializable("spade_tf")
class NonFiniteGuard(keras.layers.Layer):
    """Prevents the update of the first step with NaN or infinity, and all later updates.

    It works inside the step: from the failed step on, it replaces gradients by zeros. So the host
    need not wait for the device. It calls `failure()` when it reads the losses anyway.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.training import NonFiniteGuard
        >>> guard = NonFiniteGuard()
        >>> losses = {"generator/kl": tf.constant(float("nan"))}
        >>> step = tf.constant(6, tf.int64)
        >>> guard.check(losses, [tf.ones([1])], ["kernel"], step)[0].numpy().tolist()
        [0.0]
        >>> str(guard.failure())
        'step 7: loss generator/kl is NaN or infinite'
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # The failed step (from 1; 0 for none), and the index of its first tensor that failed.
        self.step, self.index = (
            self.add_weight(
                shape=(),
                dtype="int64",
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
                name=name,
            )
            for name in ("failed_step", "failed_index")
        )
        self.names: list[str] = []
        self.built = True

    def check(
        self,
        losses: Mapping[str, tf.Tensor],
        gradients: Sequence[tf.Tensor | None],
        names: Sequence[str],
        step: tf.Tensor,
    ) -> list[tf.Tensor | None]:
        """Checks one update.

        Args:
            losses: scalars by name.
            gradients: one per weight, or None for a weight without a gradient.
            names: names of the weights.
            step: int64 scalar, number of earlier steps.

        Returns:
            The gradients, or zeros if this or an earlier update was not finite: a value or the sum
            of the squares of a gradient.
        """
        flags = {f"loss {name}": tf.math.is_finite(loss) for name, loss in losses.items()}
        for name, gradient in zip(names, gradients, strict=True):
            if gradient is not None:
                # A sum of squares is finite only if all its terms are. One pass is enough.
                flags[f"gradient of {name}"] = tf.math.is_finite(tf.nn.l2_loss(gradient))
        offset = len(self.names)
        self.names += flags
        failed = tf.cast(tf.logical_not(tf.stack(list(flags.values()))), tf.int64)
        replicas = tf.distribute.get_replica_context()
        if replicas is not None and replicas.num_replicas_in_sync > 1:
            failed = replicas.all_reduce(tf.distribute.ReduceOp.SUM, failed)
        before = tf.convert_to_tensor(self.step)
        first = tf.logical_and(tf.reduce_any(failed > 0), before == 0)
        culprit = offset + tf.argmax(tf.cast(failed > 0, tf.int32))
        now = tf.where(first, step + 1, before)
        self.index.assign(tf.where(first, culprit, tf.convert_to_tensor(self.index)))
        self.step.assign(now)
        fine = tf.cast(now == 0, tf.float32)
        # Zero times anything is zero here, NaN and infinity included.
        return [
            None if each is None else tf.math.multiply_no_nan(each, tf.cast(fine, each.dtype))
            for each in gradients
        ]

    def failure(self) -> NonFiniteError | None:
        """The failure since the last `reset`, or None. Waits for the device."""
        step = int(self.step.numpy())
        if not step:
            return None
        return NonFiniteError(step, self.names[int(self.index.numpy()) % len(self.names)])

    def reset(self) -> None:
        """Clears the failure, and the names of a step that will be traced again."""
        self.step.assign(0)
        self.index.assign(0)
        self.names.clear()
