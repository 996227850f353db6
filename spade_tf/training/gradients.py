"""One update of a network: gradients of its losses, over parts and replicas, and their use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from spade_tf.training.accumulation import Losses, Part, accumulate
from spade_tf.training.guard import NonFiniteGuard


def minimize(
    losses_of: Callable[[Part, tf.GradientTape], Losses],
    whole: Part,
    weights: Sequence[keras.Variable],
    optimizer: keras.optimizers.Optimizer,
    *,
    step: tf.Tensor | None,
    accumulation_steps: int = 1,
    clip_norm: float = 0.0,
    guard: NonFiniteGuard | None = None,
) -> Losses:
    """Updates weights by the gradients of the sum of some losses.

    Args:
        losses_of: from a part of the batch, and the tape that watches it, to losses by name.
        whole: the replica's batch.
        weights: to update.
        optimizer: that updates them.
        step: int64 scalar, training steps done, for the guard; None without one.
        accumulation_steps: int >= 1, parts that the batch is processed in.
        clip_norm: float >= 0, largest norm of all gradients together; 0 for no limit.
        guard: that looks at losses and gradients; None for none.

    Returns:
        The losses, means over the parts.
    """
    values = [weight.value for weight in weights]
    replicas = tf.distribute.get_replica_context()
    # The optimizer sums gradients over replicas; the loss is the mean over them, and parts.
    share = 1.0 / accumulation_steps
    if replicas is not None:
        share /= replicas.num_replicas_in_sync

    def gradients_of(part):
        with tf.GradientTape() as tape:
            losses = losses_of(part, tape)
            total = tf.add_n(list(losses.values())) * share
            if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                total = optimizer.scale_loss(total)
        gradients = tape.gradient(total, values)
        # A lookup's gradient comes as slices, of another number on each replica.
        return losses, [None if g is None else tf.convert_to_tensor(g) for g in gradients]

    losses, sums = accumulate(gradients_of, whole, accumulation_steps)
    if guard is not None:
        # A scaled gradient may overflow: its optimizer then skips the step by itself.
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        watched = [None] * len(sums) if scaled else sums
        checked = guard.check(losses, watched, [weight.path for weight in weights], step)
        sums = sums if scaled else checked
    if clip_norm:
        sums = _clip(sums, replicas, clip_norm)
    optimizer.apply(sums, weights)
    return losses


def _clip(gradients, replicas, clip_norm):
    # By the norm of the global batch's gradient, so that it does not depend on the devices.
    count = 1 if replicas is None else replicas.num_replicas_in_sync
    given = [gradient for gradient in gradients if gradient is not None]
    if count > 1:
        given = replicas.all_reduce(tf.distribute.ReduceOp.SUM, given)
    clipped = iter(tf.clip_by_global_norm(given, clip_norm)[0])
    return [None if gradient is None else next(clipped) / count for gradient in gradients]
