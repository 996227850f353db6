"""Maps at another size, nearest as the official release resizes them, and parts of maps."""

from __future__ import annotations

import tensorflow as tf


def nearest(source: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
    """Maps `[B, H, W, ...]` at another size: row `i` is source row `floor(i * H / height)`.

    Args:
        source: the maps.
        height: int or scalar tensor, rows wanted.
        width: int or scalar tensor, columns wanted.
    """
    for axis, size in ((1, height), (2, width)):
        known = source.shape[axis]
        if isinstance(size, int) and known is not None:
            if known == size:
                continue
            if known % size == 0:
                # A strided slice, which edge GPUs run and a gather not.
                step = known // size
                source = source[:, ::step] if axis == 1 else source[:, :, ::step]
                continue
        rows = tf.range(size) * tf.shape(source)[axis] // size
        source = tf.gather(source, rows, axis=axis)
    return source


def crop(source: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    """A rectangle of each map of a batch.

    Args:
        source: `[B, H, W, ...]`.
        box: int32 `[2, 2]`, `(top, left)` and `(bottom, right)`, the latter excluded.
    """
    return source[:, box[0, 0] : box[1, 0], box[0, 1] : box[1, 1]]
