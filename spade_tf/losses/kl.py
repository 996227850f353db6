"""The KL divergence of the encoder's Gaussian from the standard normal."""

import tensorflow as tf


def kl_divergence(mu: tf.Tensor, logvar: tf.Tensor) -> tf.Tensor:
    """`-1/2 * sum(1 + logvar - mu^2 - exp(logvar))`, summed over batch and dimensions.

    Args:
        mu: `[B, z_dim]`.
        logvar: `[B, z_dim]`, logarithm of the variance.

    Returns:
        A float32 scalar, in nats.

    Reference: Kingma & Welling 2013, appendix B; Park et al. 2019, section 3.3.

    Example:
        >>> import numpy as np
        >>> from spade_tf.losses import kl_divergence
        >>> float(kl_divergence(np.float32([[1.0, 2.0]]), np.zeros((1, 2), "float32")))
        2.5
    """
    mu, logvar = tf.cast(mu, tf.float32), tf.cast(logvar, tf.float32)
    # For a variance near one, exp(logvar) - 1 would lose all digits to rounding.
    return 0.5 * tf.reduce_sum(tf.square(mu) + tf.math.expm1(logvar) - logvar)
