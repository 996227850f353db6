"""Losses of a discriminator that finds the class of every pixel, or calls it fake."""

from __future__ import annotations

import tensorflow as tf


def class_weights(counts: tf.Tensor) -> tf.Tensor:
    """Weights by which classes count alike, however many pixels they cover.

    `w_c = n / (K n_c)` for a class of `n_c` pixels among `n` of `K` classes that occur, and 0 for
    one that does not occur. The weight of all labelled pixels together is their number.

    Args:
        counts: float32 `[N]`, the pixels of each class in a batch.

    Returns:
        Float32 `[N]`.

    Reference: Sushko et al. 2021, Eq. 2, https://arxiv.org/abs/2012.04781; differs: divided by K,
        so that real pixels weigh as much as fake ones, whatever the number of classes.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.losses import class_weights
        >>> class_weights(tf.constant([3.0, 1.0, 0.0])).numpy().tolist()
        [0.6666666865348816, 2.0, 0.0]
    """
    occurring = tf.reduce_sum(tf.cast(counts > 0, counts.dtype))
    return tf.math.divide_no_nan(tf.reduce_sum(counts), occurring * counts)


def pixel_class_loss(logits: tf.Tensor, label: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of pixels with their classes: `mean over pixels of -w_c log softmax(x)_c`.

    The discriminator minimises it on real pictures, the generator on its own. Pixels without a
    class (ids outside 0 to N - 1) and those of a class of weight 0 add nothing to the sum, but
    count in the mean, so that parts of a batch have the batch's mean.

    Args:
        logits: `[B, H, W, N + 1]`, of the classes, and of "fake" last.
        label: int `[B, H, W]`.
        weights: float32 `[N]`, such as `class_weights`.

    Returns:
        A float32 scalar.

    Reference: Sushko et al. 2021, Eq. 1, first term, and section 3.1, loss of the generator,
        https://arxiv.org/abs/2012.04781.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.losses import pixel_class_loss
        >>> logits, label = tf.zeros([1, 1, 2, 4]), tf.constant([[[0, 2]]])
        >>> round(float(pixel_class_loss(logits, label, tf.constant([1.0, 1.0, 0.0]))), 4)
        0.6931
    """
    count = tf.shape(weights)[0]
    inside = tf.logical_and(label >= 0, label < count)
    target = tf.where(inside, label, 0)
    weight = tf.where(inside, tf.gather(weights, target), 0.0)
    return tf.reduce_mean(weight * _cross_entropy(logits, target))


def pixel_fake_loss(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of generated pixels with "fake": `mean over pixels of -log softmax(x)_N`.

    Pixels outside of the picture (ids below 0, as augmentation makes them) add nothing.

    Args:
        logits: `[B, H, W, N + 1]`, of the classes, and of "fake" last.
        label: int `[B, H, W]`.

    Returns:
        A float32 scalar.

    Reference: Sushko et al. 2021, Eq. 1, second term, https://arxiv.org/abs/2012.04781.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.losses import pixel_fake_loss
        >>> round(float(pixel_fake_loss(tf.zeros([1, 1, 2, 4]), tf.constant([[[0, 2]]]))), 4)
        1.3863
    """
    fake = tf.fill(tf.shape(label), logits.shape[-1] - 1)
    return tf.reduce_mean(tf.cast(label >= 0, tf.float32) * _cross_entropy(logits, fake))


def _cross_entropy(logits, target):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(target, tf.cast(logits, tf.float32))
