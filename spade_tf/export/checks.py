"""What an exported graph checks of its inputs, so that a bad one gets a sentence, not a picture.

A check that fails raises INVALID_ARGUMENT, in any runtime that executes the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from spade_tf.layers.resizing import nearest


class Limits(NamedTuple):
    """What label maps a generator can take.

    Attributes:
        num_labels: ids are in `[0, num_labels)`.
        unknown_id: what label files hold in place of the last id; None for nothing else.
        multiple: what height and width must be multiples of.
        smallest: the least height and width.
        fixed_size: `(height, width)`, the only one; None for any.
        max_pixels: what is made of one label map at most: height x width x styles.
    """

    num_labels: int
    unknown_id: int | None
    multiple: int
    smallest: int
    fixed_size: tuple[int, int] | None
    max_pixels: int


# Of the numbers of a style. They are standard normal: none of a million is beyond 6.
STYLE_BOUND = 1000.0


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
    with tf.control_dependencies(_size_checks("label", label, limits)):
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


def checked_condition(condition: tf.Tensor, limits: Limits) -> tf.Tensor:
    """Continuous maps as the generator takes them.

    Args:
        condition: float32 `[B, H, W, C]`, 0 to 1; or uint8, 0 to 255.
        limits: of the generator.

    Returns:
        float32 `[B, H, W, C]`, 0 to 1, of known size where there is only one.
    """
    if condition.dtype == tf.uint8:
        condition = tf.cast(condition, tf.float32) / 255.0
    # NaN is not within the bounds either.
    within = tf.reduce_all((condition >= 0.0) & (condition <= 1.0))
    checks = _size_checks("condition", condition, limits)
    sentence = "condition: values 0 to 1 are allowed, received {} to {}; scale them to that range"
    bounds = tf.reduce_min(condition), tf.reduce_max(condition)
    with tf.control_dependencies([*checks, require(within, sentence, *bounds)]):
        condition = tf.identity(condition)
    if limits.fixed_size is not None:
        condition = tf.ensure_shape(condition, [None, *limits.fixed_size, None])
    return condition


_WHAT = {"label": ("label map", ", by nearest neighbour"), "condition": ("continuous map", "")}


def _size_checks(name, value, limits):
    what, by = _WHAT[name]
    batch, height, width = tf.unstack(tf.shape(value)[:3])
    checks = [require(batch > 0, f"{name}: received a batch of no {what}; give one or more")]
    if limits.fixed_size is not None:
        fits = (height == limits.fixed_size[0]) & (width == limits.fixed_size[1])
        size = "x".join(map(str, limits.fixed_size))
        sentence = f"{name}: this model makes pictures of {size} (height x width) only"
    else:
        checks.append(_few_pixels_check(name, height, width, limits))
        fits = (height % limits.multiple == 0) & (width % limits.multiple == 0)
        fits &= tf.minimum(height, width) >= limits.smallest
        sentence = f"{name}: height and width must be multiples of {limits.multiple}"
        if limits.smallest > limits.multiple:
            sentence += f", and at least {limits.smallest}"
    sentence += f", received {{}}x{{}}; scale the {what}{by}"
    return [*checks, require(fits, sentence, height, width)]


def _few_pixels_check(name, height, width, limits):
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    sentence = (
        f"{name}: this export makes pictures of {limits.max_pixels} pixels at most, received "
        f"{{}}x{{}}; scale the {_WHAT[name][0]} down, or export with a larger max_pixels"
    )
    return require(pixels <= limits.max_pixels, sentence, height, width)


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
    """One row for each label map.

    Args:
        name: of the input, for the sentence.
        value: `[B, ...]`.
        label: `[B, ...]`.
    """
    rows, wanted = tf.shape(value)[0], tf.shape(label)[0]
    sentence = f"{name}: must have one row for each of the {{}} label maps, received {{}}"
    with tf.control_dependencies([require(rows == wanted, sentence, wanted, rows)]):
        return tf.identity(value)


def checked_style(
    z: tf.Tensor, label: tf.Tensor, limits: Limits, *, name: str = "z", several: bool = False
) -> tf.Tensor:
    """Styles, one or several for each label map, of numbers that a style can have.

    Args:
        z: float32 `[B, ...]`, or `[B, K, ...]`.
        label: int `[B, H, W]`.
        limits: of the generator.
        name: of the input, for the sentences.
        several: bool, whether there is a K, styles for each label map.
    """
    z = checked_rows(name, z, label)
    checks = [_no_nan_check(name, z), _bounded_check(name, z)]
    if several:
        count = tf.shape(z)[1]
        some = require(count > 0, f"{name}: received no style; give one or more")
        _, height, width = tf.unstack(tf.shape(label, tf.int64))
        most = limits.max_pixels // tf.maximum(height * width, 1)
        sentence = (
            f"{name}: this export makes {limits.max_pixels} pixels of one label map at most, which "
            "are {} styles at this size, received {}; send fewer, or export with a larger "
            "max_pixels"
        )
        few = require(tf.cast(count, tf.int64) <= most, sentence, most, count)
        checks += [some, few]
    with tf.control_dependencies(checks):
        return tf.identity(z)


def checked_photograph_label(
    label: tf.Tensor, photographs: tf.Tensor, limits: Limits, size: tuple[int, int]
) -> tf.Tensor:
    """Which class each pixel of a photograph counts for.

    Args:
        label: int32 `[B, H, W]`, ids of training; -1 all over where there is no label map.
        photographs: `[B, ...]`.
        limits: of the generator; its `unknown_id` stands for the last id.
        size: height and width of what is returned.

    Returns:
        float32 `[B, *size, num_labels]`, one-hot; ones where there is no label map.
    """
    label, count = checked_rows("label", label, photographs), limits.num_labels
    if limits.unknown_id is not None and limits.unknown_id >= count:
        label = tf.where(label == limits.unknown_id, count - 1, label)
    absent = tf.reduce_all(label == -1, [1, 2], keepdims=True)
    lowest = tf.reduce_min(tf.where(absent, 0, label))
    highest = tf.reduce_max(label)
    sentence = (
        f"label: ids 0 to {count - 1} are allowed, or -1 all over for none, received {{}}; correct "
        "the label map"
    )
    worst = tf.where(highest >= count, highest, lowest)
    some = require(tf.size(label) > 0, "label: received a map of no pixels; give [B, H, W]")
    with tf.control_dependencies(
        [some, require((lowest >= 0) & (highest < count), sentence, worst)]
    ):
        # Ids are scaled, not one-hot maps: those of a large map would fill the memory.
        one_hot = tf.one_hot(nearest(label, *size), count)
    return tf.where(absent[..., None], 1.0, one_hot)


def _no_nan_check(name, z):
    finite = tf.reduce_all(tf.math.is_finite(z))
    return require(finite, f"{name}: received NaN or infinity; give finite numbers")


def _bounded_check(name, z):
    # Of no numbers, the maximum is -infinity, which is within bounds.
    largest = tf.reduce_max(tf.abs(z))
    sentence = (
        f"{name}: received a number as large as {{}}, and {STYLE_BOUND:g} is allowed at most; "
        "styles are standard normal numbers"
    )
    # NaN is another sentence's matter.
    return require(~(largest > STYLE_BOUND), sentence, largest)


def finite(name: str, value: tf.Tensor, way_out: str) -> tf.Tensor:
    """What a network made, refused where it holds NaN or infinity.

    Args:
        name: of the output, for the sentence.
        value: a floating tensor.
        way_out: what can be done, for the sentence.
    """
    sentence = f"{name}: the model makes NaN or infinity of these inputs; {way_out}"
    with tf.control_dependencies([require(tf.reduce_all(tf.math.is_finite(value)), sentence)]):
        return tf.identity(value)


def some_rows(name: str, value: tf.Tensor, kind: str) -> tf.Tensor:
    """At least one row.

    Args:
        name: of the input, for the sentence.
        value: `[B, ...]`.
        kind: what a row is, for the sentence.
    """
    check = require(tf.shape(value)[0] > 0, f"{name}: received no {kind}; give one or more")
    with tf.control_dependencies([check]):
        return tf.identity(value)


def texts_of(name: str, wanted: tf.Tensor, texts: Mapping[str, str]) -> tf.Tensor:
    """Texts by their names.

    Args:
        name: of the input, for the sentence.
        wanted: string `[B]`, names of texts.
        texts: by name.
    """
    wanted = some_rows(name, wanted, name)
    same = wanted[:, None] == tf.constant(list(texts))
    check = require(
        tf.reduce_all(tf.reduce_any(same, 1)),
        f"{name}: received one that is none of {', '.join(texts)}",
    )
    with tf.control_dependencies([check]):
        index = tf.argmax(tf.cast(same, tf.int32), 1)
    return tf.gather(tf.constant(list(texts.values())), index)
