"""What happens when a loss or a gradient is not a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf


class NonFiniteError(ArithmeticError):
    """A training step gave NaN or infinity.

    Args:
        step: int, the step that did, counted from 1.
        culprit: name of the first loss or tensor that was not finite.
    """

    def __init__(self, step: int, culprit: str):
        super().__init__(f"step {step}: {culprit} is NaN or infinite")
        self.step = step
        self.culprit = culprit


class NonFiniteGuard(keras.layers.Layer):
    """Stops the first step that is not finite, and all after it, from being applied.

    It works inside the step, so that nothing waits for the device: gradients are replaced by
    zeros from that step on, and the host looks at `failure()` when it reads the losses anyway.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # The step that failed (from 1; 0 for none), and which of its tensors was the first.
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
        """Looks at one update.

        Args:
            losses: scalars by name.
            gradients: of the weights; None where there is none.
            names: of the weights.
            step: int64 scalar, steps done before this one.

        Returns:
            The gradients, or zeros in their place if this update or one before was not finite.
        """
        flags = {f"loss {name}": tf.math.is_finite(loss) for name, loss in losses.items()}
        for name, gradient in zip(names, gradients, strict=True):
            if gradient is not None:
                # A sum is finite only if all its terms are, and one pass over them is enough.
                flags[f"gradient of {name}"] = tf.math.is_finite(tf.reduce_sum(tf.abs(gradient)))
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
        return [
            None if gradient is None else tf.where(now == 0, gradient, tf.zeros_like(gradient))
            for gradient in gradients
        ]

    def failure(self) -> NonFiniteError | None:
        """What failed since the last `reset`, or None; waits for the device."""
        step = int(self.step.numpy())
        if not step:
            return None
        return NonFiniteError(step, self.names[int(self.index.numpy()) % len(self.names)])

    def reset(self) -> None:
        """Forgets a failure, and the names of a step that is to be traced again."""
        self.step.assign(0)
        self.index.assign(0)
        self.names.clear()
