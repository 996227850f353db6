"""Boundaries between instances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf


def instance_edges(instance: tf.Tensor) -> tf.Tensor:
    """Marks the boundaries between instances.

    A pixel is an edge when its id differs from any of its four neighbours; both sides of a
    boundary are marked.

    Args:
        instance: int `[B, H, W]`, instance ids.

    Returns:
        bool `[B, H, W]`.

    Reference: Wang et al. 2018 (pix2pixHD), section 3.3, https://arxiv.org/abs/1711.11585.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import instance_edges
        >>> instance_edges(np.array([[[5, 5, 8, 8, 8]]])).numpy().astype(int).tolist()
        [[[0, 1, 1, 0, 0]]]
    """
    vertical = tf.not_equal(instance[:, 1:, :], instance[:, :-1, :])
    horizontal = tf.not_equal(instance[:, :, 1:], instance[:, :, :-1])
    above = tf.pad(vertical, [[0, 0], [1, 0], [0, 0]])
    below = tf.pad(vertical, [[0, 0], [0, 1], [0, 0]])
    left = tf.pad(horizontal, [[0, 0], [0, 0], [1, 0]])
    right = tf.pad(horizontal, [[0, 0], [0, 0], [0, 1]])
    return above | below | left | right


def edges_of(inputs: Mapping[str, Any], like: tf.Tensor) -> tf.Tensor:
    """Edges of the instances of some inputs, bool `[B, H, W]`; none where there are none."""
    instance = inputs.get("instance")
    if instance is None:
        return tf.zeros_like(like, tf.bool)
    return instance_edges(tf.cast(instance, tf.int32))
