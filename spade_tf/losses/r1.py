"""R1 penalty: keeps the discriminator flat around real pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf


def r1_penalty(
    logits: Callable[[tf.Tensor], Sequence[tf.Tensor]], real_image: tf.Tensor
) -> tf.Tensor:
    """`1/2 * mean over examples of |gradient of D(x) with respect to x|^2`.

    D(x) of an example is the mean of its logits, averaged over scales.

    Args:
        logits: function from pictures to the logits of each scale, `[B, h, w, 1]` each.
        real_image: `[B, H, W, 3]`.

    Returns:
        A float32 scalar, with gradients for the discriminator's weights.

    Reference: Mescheder et al. 2018, Eq. 9, https://arxiv.org/abs/1801.04406.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.losses import r1_penalty
        >>> float(r1_penalty(lambda image: [3.0 * image], tf.ones([1, 1, 1, 1])))
        4.5
    """
    with tf.GradientTape() as tape:
        tape.watch(real_image)
        means = [tf.reduce_mean(scale, [1, 2, 3]) for scale in logits(real_image)]
        output = tf.cast(tf.add_n(means) / len(means), tf.float32)
    gradient = tf.cast(tape.gradient(output, real_image), tf.float32)
    return 0.5 * tf.reduce_mean(tf.reduce_sum(tf.square(gradient), [1, 2, 3]))
