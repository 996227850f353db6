"""Styles drawn by number: a seed is a style, wherever it is asked for."""

from __future__ import annotations

import tensorflow as tf

from spade_tf.layers.semantics import Semantics


def seeded_styles(seed: tf.Tensor, z_dim: int) -> tf.Tensor:
    """Standard normal styles, each a function of its own seed and nothing else.

    The generator of random numbers is fixed (Philox), so that a seed gives the same style in
    another batch, on another kind of device, and in an exported graph.

    Args:
        seed: int64 `[B]`, any values.
        z_dim: int >= 1, length of a style.

    Returns:
        float32 `[B, z_dim]`.

    Reference: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.networks import seeded_styles
        >>> tuple(seeded_styles(tf.constant([7, 8], tf.int64), z_dim=4).shape)
        (2, 4)
    """

    def draw(one: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_normal(
            [z_dim], tf.stack([one, tf.zeros_like(one)]), alg="philox"
        )

    seed = tf.convert_to_tensor(seed, tf.int64)
    return tf.map_fn(draw, seed, fn_output_signature=tf.TensorSpec([z_dim], tf.float32))


def draw_style(semantics: Semantics, z_dim: int) -> tf.Tensor:
    """Standard normal styles `[B, z_dim]`, as many as there are label maps."""
    batch = semantics.shape[0]
    if batch is None:
        batch = tf.shape(semantics.dense if semantics.label is None else semantics.label)[0]
    return tf.random.normal([batch, z_dim])
