"""Random numbers that do not depend on how many replicas share a batch."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def share_of_global_batch(
    draw: Callable[[int | tf.Tensor], tf.Tensor], batch_size: int | tf.Tensor
) -> tf.Tensor:
    """This replica's rows of the numbers that are drawn for the global batch.

    Args:
        draw: from a number of rows to that many rows of numbers.
        batch_size: rows of this replica.
    """
    replicas = tf.distribute.get_replica_context()
    index, count = 0, 1
    if replicas is not None:
        index, count = replicas.replica_id_in_sync_group, replicas.num_replicas_in_sync
    return draw(batch_size * count)[index * batch_size :][:batch_size]
