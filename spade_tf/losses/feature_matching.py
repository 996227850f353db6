"""Feature matching: the discriminator's layers should see real and generated pictures alike."""

from collections.abc import Sequence

import tensorflow as tf


def feature_matching_loss(
    fake_features: Sequence[Sequence[tf.Tensor]], real_features: Sequence[Sequence[tf.Tensor]]
) -> tf.Tensor:
    """Mean absolute difference of all features except the logits, summed over layers.

    `(1 / scales) * sum over scales and layers of mean|D_k(fake) - D_k(real)|`. No gradient flows
    into the real features.

    Args:
        fake_features: per scale, a list of feature maps that ends with the logits.
        real_features: the same for real pictures.

    Returns:
        A float32 scalar.

    Reference: Wang et al. 2018, Eq. 4; weighted by 10 in Park et al. 2019, appendix A.

    Example:
        >>> import numpy as np
        >>> from spade_tf.losses import feature_matching_loss
        >>> fake = [[np.zeros((1, 2, 2, 3), "float32"), np.zeros((1, 2, 2, 1), "float32")]]
        >>> real = [[np.full((1, 2, 2, 3), 0.5, "float32"), np.ones((1, 2, 2, 1), "float32")]]
        >>> float(feature_matching_loss(fake, real))
        0.5
    """
    total = tf.zeros([])
    for fake_scale, real_scale in zip(fake_features, real_features, strict=True):
        for fake, real in zip(fake_scale[:-1], real_scale[:-1], strict=True):
            real = tf.stop_gradient(tf.cast(real, tf.float32))
            total += tf.reduce_mean(tf.abs(tf.cast(fake, tf.float32) - real))
    return total / len(fake_features)
