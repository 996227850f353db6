"""The distinct neighbourhoods of a map of ids, and of the neighbourhoods themselves."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from spade_tf.layers.padding import pad

# Bits of each of three, or two, numbers that are packed in a positive 64-bit integer.
_BITS = {2: 31, 3: 21}


class Neighbourhoods(NamedTuple):
    """What two stacked convolutions over a label map can see, each distinct case once.

    A pixel's symbol is its label and whether it is an edge. The first convolution sees a k x k
    window of symbols, the second a k x k window of what the first has seen. A convolution of
    ones and zeros is a sum of rows of its kernel, and so is one of what has been computed for
    each distinct window: the sums are given as rows to be added up per segment. Labels that do
    not exist add nothing. Nor do cells outside the picture, unless padding puts others there.

    Attributes:
        ids: int32 `[B, H, W]`, which distinct window of the second level is around each pixel.
        first_ids: int32 `[B, H, W]`, which of the first level.
        count: int32 scalar, n1, distinct windows of the first level.
        rows: int32 `[m1]`, rows of the first kernel as `[k * k * channels, filters]`.
        segments: int32 `[m1]`, ascending, in `[0, n1)`: the window that each row belongs to.
        second_count: int32 scalar, n2, distinct windows of the second level.
        second_rows: int32 `[m2]`, tap `t` of window `i` of the first level, as `t * n1 + i`.
        second_segments: int32 `[m2]`, ascending, in `[0, n2)`.
        second_halves: two of int32 `[m2]`, as `second_rows`, but as `2 * (i * k * k + t)` and as
            one more: of a table whose rows, one per window and tap, are halved.
    """

    ids: tf.Tensor
    first_ids: tf.Tensor
    count: tf.Tensor
    rows: tf.Tensor
    segments: tf.Tensor
    second_count: tf.Tensor
    second_rows: tf.Tensor
    second_segments: tf.Tensor
    second_halves: tuple[tf.Tensor, tf.Tensor]

    @classmethod
    def of(
        cls,
        label: tf.Tensor,
        edges: tf.Tensor | None,
        *,
        num_labels: int | tf.Tensor,
        kernel_size: int,
        padding: str = "zeros",
    ) -> Neighbourhoods:
        """Finds them, by exact comparison, over all maps of the batch together.

        Args:
            label: int `[B, H, W]`; ids outside `[0, num_labels)` count as no label.
            edges: bool `[B, H, W]`, the channel after those of the labels; None for none.
            num_labels: int >= 1, or a scalar where it depends on the batch.
            kernel_size: odd int, k.
            padding: one of `PADDINGS`, of the input of both convolutions. Default "zeros".

        Returns:
            The `Neighbourhoods`.
        """
        exists = (label >= 0) & (label < num_labels)
        symbols = tf.where(exists, tf.cast(label, tf.int32), num_labels)
        num_symbols = channels = num_labels + 1
        if edges is None:
            channels -= 1
        else:
            num_symbols *= 2
            symbols += (num_labels + 1) * tf.cast(edges, tf.int32)
        windows, first_ids = distinct_windows(
            symbols, num_symbols, num_labels, kernel_size, padding=padding
        )
        count = tf.shape(windows)[0]
        most = _at_most_one_each(first_ids)
        second_windows, ids = distinct_windows(
            first_ids, count + 1, count, kernel_size, most, padding
        )

        taps = tf.range(kernel_size**2)
        edge = windows > num_labels
        labels = tf.where(edge, windows - (num_labels + 1), windows)
        rows, valid = channels * taps + labels, labels < num_labels
        if edges is not None:
            rows = tf.concat([rows, tf.zeros_like(rows) + channels * taps + num_labels], 1)
            valid = tf.concat([valid, edge], 1)
        exists = second_windows < count
        halves = 2 * _segments(second_windows * kernel_size**2 + taps, exists)[0]
        return cls(
            ids,
            first_ids,
            count,
            *_segments(rows, valid),
            tf.shape(second_windows)[0],
            *_segments(taps * count + second_windows, exists),
            (halves, halves + 1),
        )

    @property
    def share(self) -> tf.Tensor:
        """float32 scalar in (0, 1], distinct windows of the first level per pixel."""
        return tf.cast(self.count / tf.size(self.ids), tf.float32)


def _segments(rows: tf.Tensor, valid: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # tf.boolean_mask makes six times as many operations.
    places = tf.where(valid)
    return tf.gather_nd(rows, places), tf.cast(places[:, 0], tf.int32)


def distinct_windows(
    ids: tf.Tensor,
    num_ids: int | tf.Tensor,
    outside: int | tf.Tensor,
    kernel_size: int,
    most: int | None = None,
    padding: str = "zeros",
) -> tuple[tf.Tensor, tf.Tensor]:
    """The distinct k x k windows of maps of ids, and which of them is around each pixel.

    Args:
        ids: int32 `[B, H, W]` in `[0, num_ids)`.
        num_ids: int or scalar, number of ids that there can be.
        outside: int or scalar in `[0, num_ids)`, what lies outside the maps with padding "zeros".
        kernel_size: odd int, k.
        most: int >= `num_ids`, if there is one before `num_ids` is known: spares a graph what it
            would do if there were more.
        padding: one of `PADDINGS`. Default "zeros".

    Returns:
        `(windows, which)`, int32 `[n, k * k]` in reading order, and int32 `[B, H, W]` in `[0, n)`.
    """
    most = num_ids if isinstance(num_ids, int) else most
    if kernel_size == 1:
        return _distinct([ids], num_ids, most)
    margin = kernel_size // 2
    dynamic = tf.shape(ids)
    height, width = (ids.shape[axis] or dynamic[axis] for axis in (1, 2))
    padded = pad(ids, margin, padding, axes=[2], constant=outside)
    parts = [padded[:, :, i : i + width] for i in range(kernel_size)]
    rows, which = _distinct(parts, num_ids, most)
    # One more row, which lies outside.
    count = tf.shape(rows)[0]
    rows = tf.concat([rows, tf.fill([1, kernel_size], outside)], 0)
    padded = pad(which, margin, padding, axes=[1], constant=count)
    parts = [padded[:, i : i + height] for i in range(kernel_size)]
    stacks, which = _distinct(parts, count + 1, _at_most_one_each(ids))
    return tf.reshape(tf.gather(rows, stacks), [-1, kernel_size**2]), which


def _at_most_one_each(places):
    """How many different things, and one that lies outside, there can be; None if unknown."""
    size = places.shape.num_elements()
    return None if size is None else size + 1


def _distinct(parts, num_ids, most):
    """Distinct tuples of ids `[n, len(parts)]`, and which one there is at each place."""
    if len(parts) <= 2:
        return _unique(parts)
    if len(parts) == 3:
        if most is not None and most <= 1 << _BITS[3]:
            return _unique(parts)
        return tf.cond(
            tf.less_equal(num_ids, 1 << _BITS[3]),
            lambda: _unique(parts),
            lambda: _distinct_by_steps(parts, num_ids, most, 2),
        )
    return _distinct_by_steps(parts, num_ids, most, 3)


def _distinct_by_steps(parts, num_ids, most, step):
    heads, which = _distinct(parts[:step], num_ids, most)
    count = tf.maximum(tf.shape(heads)[0], num_ids)
    places = _at_most_one_each(which)
    most = None if most is None or places is None else max(most, places)
    tuples, which = _distinct([which, *parts[step:]], count, most)
    return tf.concat([tf.gather(heads, tuples[:, 0]), tuples[:, 1:]], 1), which


def _unique(parts):
    bits = _BITS.get(len(parts), 0)
    keys = tf.cast(parts[0], tf.int64)
    for part in parts[1:]:
        keys = tf.bitwise.left_shift(keys, tf.constant(bits, tf.int64)) + tf.cast(part, tf.int64)
    distinct, which = tf.unique(tf.reshape(keys, [-1]))
    which = tf.reshape(which, tf.shape(parts[0]))
    which.set_shape(parts[0].shape)
    if len(parts) == 1:
        return tf.cast(distinct, tf.int32)[:, None], which
    # Shifts: integer division is slow.
    mask = tf.constant((1 << bits) - 1, tf.int64)
    unpacked = [
        tf.cast(
            tf.bitwise.bitwise_and(
                tf.bitwise.right_shift(distinct, tf.constant(bits * place, tf.int64)), mask
            ),
            tf.int32,
        )
        for place in reversed(range(len(parts)))
    ]
    return tf.stack(unpacked, 1), which
