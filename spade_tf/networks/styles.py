"""Styles drawn by number: a seed is a style, wherever it is asked for."""

from __future__ import annotations

from typing import Any

import keras
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
    return tf.random.normal([_batch_size(semantics), z_dim])


def with_drawn_class_styles(
    semantics: Semantics, num_labels: int, class_style_dim: int
) -> Semantics:
    """Semantics with standard normal class styles, unless they have them or need none.

    Args:
        semantics: the label maps.
        num_labels: int >= 1, N.
        class_style_dim: int >= 0, D.

    Raises:
        ValueError: if they have styles of other labels.
    """
    given = semantics.class_styles
    if given is not None and given.shape[1] != num_labels:
        raise ValueError(
            f"class_styles must hold a vector for each of {num_labels} labels: received "
            f"{given.shape[1]}"
        )
    if given is not None or not class_style_dim:
        return semantics
    shape = [_batch_size(semantics), num_labels, class_style_dim]
    return semantics.with_class_styles(tf.random.normal(shape))


def _batch_size(semantics):
    batch = semantics.shape[0]
    if batch is None:
        batch = tf.shape(semantics.dense if semantics.label is None else semantics.label)[0]
    return batch


def style_length(generator: Any) -> int:
    """Numbers of a whole style: `z`, and the styles of all classes after it. 0 for no styles."""
    class_style_dim = getattr(generator, "class_style_dim", 0)
    of_classes = generator.num_labels * class_style_dim if class_style_dim else 0
    return (generator.z_dim or 0) + of_classes


def split_style(generator: Any, style: Any) -> tuple[Any, Any]:
    """The parts of whole styles.

    Args:
        generator: whose, or what has its `z_dim`, `num_labels` and `class_style_dim`.
        style: `[..., style_length(generator)]`; or None.

    Returns:
        `(z, class_styles)`, `[..., z_dim]` and `[..., N, D]`; None for what the generator has
        none of.

    Example:
        >>> from types import SimpleNamespace
        >>> import numpy as np
        >>> from spade_tf.networks.styles import split_style
        >>> generator = SimpleNamespace(z_dim=2, num_labels=3, class_style_dim=4)
        >>> z, class_styles = split_style(generator, np.zeros((5, 14), "float32"))
        >>> z.shape, tuple(class_styles.shape)
        ((5, 2), (5, 3, 4))
    """
    dim = getattr(generator, "class_style_dim", 0)
    if style is None or not dim:
        return style, None
    z_dim = generator.z_dim or 0
    class_styles = style[..., z_dim:]
    labels = [generator.num_labels, dim]
    class_styles = tf.reshape(class_styles, tf.concat([tf.shape(class_styles)[:-1], labels], 0))
    return (style[..., :z_dim] if z_dim else None), class_styles


def styled(generator: keras.Model, semantics: Semantics, style: tf.Tensor | None) -> dict[str, Any]:
    """What a generator is called with to make pictures in whole styles.

    Args:
        generator: the generator.
        semantics: the label maps.
        style: `[B, style_length(generator)]`; None to have it drawn.

    Returns:
        `inputs` and `z`.
    """
    z, class_styles = split_style(generator, style)
    if class_styles is not None:
        semantics = semantics.with_class_styles(class_styles)
    return {"inputs": semantics, "z": z}


def check_same_styles(generator: keras.Model, encoder: keras.Model) -> None:
    """Raises a ValueError unless an encoder gives the styles that a generator takes."""
    for name in ("z_dim", "class_style_dim"):
        # Networks without styles of classes do not speak of them.
        ours, theirs = (getattr(network, name, None) or None for network in (generator, encoder))
        if ours != theirs:
            raise ValueError(
                "the encoder's styles must be what the generator takes: received "
                f"{name}={theirs} of the encoder and {ours} of the generator"
            )


def encode_style(
    encoder: Any, image: tf.Tensor, semantics: Semantics, training: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """`(mu, logvar)` of the whole styles of pictures, `[B, style_length]` each.

    Args:
        encoder: a `ConvEncoder`, or a `ClassEncoder`, which looks at the label maps, too.
        image: `[B, H, W, 3]` in [-1, 1].
        semantics: their label maps.
        training: bool.
    """
    if getattr(encoder, "class_style_dim", 0):
        return encoder(image=image, inputs=semantics, training=training)
    return encoder(image, training=training)
