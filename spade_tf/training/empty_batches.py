"""Batches without rows, which a device gets where the last batch has too few for all."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def num_rows(batch: Any) -> int | tf.Tensor:
    """Number of rows of a batch: an int where it is known while a graph is made."""
    first = tf.nest.flatten(batch)[0]
    known = first.shape[0]
    return tf.shape(first)[0] if known is None else known


def at_least_one_row(batch: Any) -> Any:
    """A batch with a row of zeros in place of no rows; any other as it is.

    TensorFlow's convolutions with oneDNN return no rows with the channels of their input, and the
    next operation fails.

    Args:
        batch: a tensor, or a structure of tensors, all `[B, ...]`.

    Returns:
        The same structure, with `max(B, 1)` rows. The caller drops the row that was added.

    Example:
        >>> at_least_one_row(tf.zeros([0, 2])).shape
        TensorShape([1, 2])
    """
    rows = num_rows(batch)
    if isinstance(rows, int) and rows:
        return batch
    missing = tf.cast(tf.equal(rows, 0), tf.int32)

    def filled(tensor):
        tensor = tf.convert_to_tensor(tensor)
        zeros = tf.zeros(tf.concat([[missing], tf.shape(tensor)[1:]], 0), tensor.dtype)
        whole = tf.concat([tensor, zeros], 0)
        return tf.ensure_shape(whole, [None, *tensor.shape[1:]])

    return tf.nest.map_structure(filled, batch)
