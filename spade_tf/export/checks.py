"""What an exported graph checks of its inputs, so that a bad one gets a sentence, not a picture.

A check that fails raises INVALID_ARGUMENT, in any runtime that executes the graph.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Limits(NamedTuple):
    """What label maps a generator can take.

    Attributes:
        num_labels: ids are in `[0, num_labels)`.
        unknown_id: what label files hold in place of the last id; None for nothing else.
        multiple: what height and width must be multiples of.
        smallest: the least height and width.
        fixed_size: `(height, width)`, the only one; None for any.
    """

    num_labels: int
    unknown_id: int | None
    multiple: int
    smallest: int
    fixed_size: tuple[int, int] | None


def require(condition: tf.Tensor, sentence: str, *values: tf.Tensor) -> tf.Operation:
    """An assertion.

    Args:
        condition: bool scalar.
        sentence: what is said if it does not hold; `{}` stands for a value.
        values: scalars.

    Returns:
        An operation to depend on.
    """
    said = tf.strings.format(sentence, values) if values else tf.constant(sentence)
    return tf.debugging.Assert(condition, [said])


def checked_label(label: tf.Tensor, limits: Limits) -> tf.Tensor:
    """Label ids as the generator takes them.

    Args:
        label: int `[B, H, W]`; `limits.unknown_id` stands for the last id.
        limits: of the generator.

    Returns:
        int32 `[B, H, W]`, of known size where there is only one.
    """
    label = tf.cast(label, tf.int32)
    with tf.control_dependencies(_size_checks(label, limits)):
        label = tf.identity(label)
    count = limits.num_labels
    allowed = f"ids 0 to {count - 1} are allowed"
    if limits.unknown_id is not None and limits.unknown_id >= count:
        label = tf.where(label == limits.unknown_id, count - 1, label)
        allowed = f"ids 0 to {count - 1}, and {limits.unknown_id} for unknown, are allowed"
    lowest, highest = tf.reduce_min(label), tf.reduce_max(label)
    fits = (lowest >= 0) & (highest < count)
    worst = tf.where(highest >= count, highest, lowest)
    check = require(fits, f"label: {allowed}, received {{}}; correct the label map", worst)
    with tf.control_dependencies([check]):
        label = tf.identity(label)
    if limits.fixed_size is not None:
        label = tf.ensure_shape(label, [None, *limits.fixed_size])
    return label


def _size_checks(label, limits):
    batch, height, width = tf.unstack(tf.shape(label))
    checks = [require(batch > 0, "label: received a batch of no label map; give one or more")]
    if limits.fixed_size is not None:
        fits = (height == limits.fixed_size[0]) & (width == limits.fixed_size[1])
        size = "x".join(map(str, limits.fixed_size))
        sentence = f"label: this model makes pictures of {size} (height x width) only"
    else:
        fits = (height % limits.multiple == 0) & (width % limits.multiple == 0)
        fits &= tf.minimum(height, width) >= limits.smallest
        sentence = f"label: height and width must be multiples of {limits.multiple}"
        if limits.smallest > limits.multiple:
            sentence += f", and at least {limits.smallest}"
    sentence += ", received {}x{}; scale the label map, by nearest neighbour"
    return [*checks, require(fits, sentence, height, width)]


def checked_instance(instance: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Instance ids of the size of a label map.

    Args:
        instance: int32 `[B, H, W]`, or `[B, 1, 1]` for one instance all over: no edges.
        label: int32 `[B, H, W]`.

    Returns:
        int32 `[B, H, W]`.
    """
    given, wanted = tf.shape(instance), tf.shape(label)
    fits = (given[0] == wanted[0]) & (
        tf.reduce_all(given == wanted) | tf.reduce_all(given[1:] == 1)
    )
    sentence = "instance: must be of the shape of label, {}, or [B, 1, 1] for none, received {}"
    with tf.control_dependencies([require(fits, sentence, wanted, given)]):
        return tf.broadcast_to(tf.identity(instance), wanted)


def checked_rows(name: str, value: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """One row for each label map, and none of it NaN or infinite.

    Args:
        name: of the input, for the sentence.
        value: `[B, ...]`.
        label: `[B, H, W]`.
    """
    rows, wanted = tf.shape(value)[0], tf.shape(label)[0]
    sentence = f"{name}: must have one row for each of the {{}} label maps, received {{}}"
    checks = [require(rows == wanted, sentence, wanted, rows)]
    if value.dtype.is_floating:
        finite = tf.reduce_all(tf.math.is_finite(value))
        checks.append(require(finite, f"{name}: received NaN or infinity; give finite numbers"))
    with tf.control_dependencies(checks):
        return tf.identity(value)
