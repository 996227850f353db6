"""LabelMix: a discriminator should see the parts of a mixed picture as in whole ones."""

from __future__ import annotations

import tensorflow as tf


def label_mix_mask(label: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Which pixels of a mixed picture are real: all of a class, or none.

    Args:
        label: int `[B, H, W]`.
        draws: float `[B, N]` in [0, 1). Class c of an example is real where its number is below
            1/2. Pixels without a class are real.

    Returns:
        Bool `[B, H, W, 1]`.

    Reference: Sushko et al. 2021, section 3.2, https://arxiv.org/abs/2012.04781.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.losses import label_mix_mask
        >>> label, draws = tf.constant([[[0, 1, 0]]]), tf.constant([[0.2, 0.7]])
        >>> label_mix_mask(label, draws)[0, 0, :, 0].numpy().tolist()
        [True, False, True]
    """
    classes = tf.where(tf.logical_and(label >= 0, label < tf.shape(draws)[1]), label, 0)
    real = tf.gather(draws < 0.5, classes, axis=1, batch_dims=1)
    return tf.logical_or(real, label != classes)[..., None]


def label_mix_loss(
    mixed_logits: tf.Tensor,
    real_logits: tf.Tensor,
    fake_logits: tf.Tensor,
    mask: tf.Tensor,
    label: tf.Tensor,
) -> tf.Tensor:
    """`mean((D(mix(x, y)) - mix(D(x), D(y)))^2)`, over pixels and channels.

    `mix(x, y)` is x where the mask is true, and y elsewhere. Gradients flow into all logits.

    Args:
        mixed_logits: `[B, H, W, N + 1]`, of pictures mixed by the mask.
        real_logits: likewise, of the real pictures.
        fake_logits: likewise, of the generated ones.
        mask: bool `[B, H, W, 1]`; see `label_mix_mask`.
        label: int `[B, H, W]`. Pixels outside of the picture (ids below 0) add nothing.

    Returns:
        A float32 scalar.

    Reference: Sushko et al. 2021, Eq. 3 and 4, https://arxiv.org/abs/2012.04781, weighted by 10
        there; differs: a mean, not a sum.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.losses import label_mix_loss
        >>> real, fake = tf.ones([1, 1, 2, 3]), tf.zeros([1, 1, 2, 3])
        >>> mask, label = tf.constant([[[[True], [False]]]]), tf.zeros([1, 1, 2], tf.int32)
        >>> float(label_mix_loss(real, real, fake, mask, label))
        0.5
    """
    mixed, real, fake = (tf.cast(x, tf.float32) for x in (mixed_logits, real_logits, fake_logits))
    error = tf.reduce_mean(tf.math.squared_difference(mixed, tf.where(mask, real, fake)), -1)
    return tf.reduce_mean(tf.cast(label >= 0, tf.float32) * error)
