"""Distillation losses: they pull a student's pictures and features towards its teacher's."""

from collections.abc import Sequence

import tensorflow as tf


def distillation_output_loss(student_image: tf.Tensor, teacher_image: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference of two batches of pictures: `mean|student - teacher|`.

    Args:
        student_image: `[B, H, W, 3]` in [-1, 1].
        teacher_image: `[B, H, W, 3]`; no gradient flows into it.

    Returns:
        A float32 scalar.

    Reference: Li et al. 2020, section 3.1, https://arxiv.org/abs/2003.08936: the reconstruction
        loss. The paper compares with the teacher's picture only for unpaired data.

    Example:
        >>> import numpy as np
        >>> from spade_tf.losses import distillation_output_loss
        >>> student = np.zeros((1, 2, 2, 3), "float32")
        >>> teacher = np.full((1, 2, 2, 3), 0.5, "float32")
        >>> float(distillation_output_loss(student, teacher))
        0.5
    """
    teacher_image = tf.stop_gradient(tf.cast(teacher_image, tf.float32))
    return tf.reduce_mean(tf.abs(tf.cast(student_image, tf.float32) - teacher_image))


def distillation_feature_loss(
    student_features: Sequence[tf.Tensor], teacher_features: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Mean relative squared error of feature maps.

    `(1 / K) sum_k mean_b(|s_kb - t_kb|² / (|t_kb|² + 1e-8))`, where `|.|²` is the mean square over
    pixels and channels of example b in map k. Because of the division by the teacher's, maps of
    any scale and size count alike, and a student whose features are all zero has a loss of 1. The
    ratio is per example, so the loss does not depend on how replicas share a batch.

    Args:
        student_features: K maps `[B, H_k, W_k, C_k]`, projected to the teacher's channels.
        teacher_features: K maps of the same shapes; no gradient flows into them.

    Returns:
        A float32 scalar.

    Reference: Li et al. 2020, section 3.1, https://arxiv.org/abs/2003.08936; differs: it is
        relative to the teacher's features.

    Example:
        >>> import numpy as np
        >>> from spade_tf.losses import distillation_feature_loss
        >>> student = np.zeros((1, 2, 2, 3), "float32")
        >>> teacher = np.full((1, 2, 2, 3), 0.5, "float32")
        >>> round(float(distillation_feature_loss([student], [teacher])), 4)
        1.0
    """
    total = tf.zeros([])
    for student, teacher in zip(student_features, teacher_features, strict=True):
        teacher = tf.stop_gradient(tf.cast(teacher, tf.float32))
        error = tf.reduce_mean(tf.square(tf.cast(student, tf.float32) - teacher), [1, 2, 3])
        size = tf.reduce_mean(tf.square(teacher), [1, 2, 3])
        total += tf.reduce_mean(error / (size + 1e-8))
    return total / len(teacher_features)
