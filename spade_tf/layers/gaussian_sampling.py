"""Sampling from the encoder's Gaussian."""

import keras
import tensorflow as tf

from spade_tf.layers.symbolic import TracesSymbolicCalls


@keras.saving.register_keras_serializable("spade_tf")
class GaussianSampling(TracesSymbolicCalls, keras.layers.Layer):
    """The reparameterisation `z = mu + exp(logvar / 2) * noise`.

    Call arguments:
        mu: `[B, z_dim]`.
        logvar: `[B, z_dim]`, logarithm of the variance.
        noise: `[B, z_dim]`, standard normal. Drawn when None.

    Returns:
        `[B, z_dim]`, in float32: a style is small, and its precision cheap.

    Reference: Kingma & Welling 2013, Eq. 10; Park et al. 2019, section 3.3.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import GaussianSampling
        >>> mu, logvar = np.float32([[1.0, 2.0]]), np.zeros((1, 2), "float32")
        >>> GaussianSampling()(mu, logvar, noise=np.float32([[0.5, -0.5]])).numpy().tolist()
        [[1.5, 1.5]]
    """

    def __init__(self, **kwargs):
        # Keras would cast the inputs to half precision before call could widen them.
        super().__init__(autocast=False, **kwargs)
        self.built = True

    def call(self, mu, logvar, noise=None):
        mu = tf.cast(mu, tf.float32)
        deviation = tf.exp(0.5 * tf.cast(logvar, tf.float32))
        if noise is None:
            noise = tf.random.normal(tf.shape(mu))
        return mu + deviation * tf.cast(noise, tf.float32)

    def compute_output_shape(self, mu_shape, logvar_shape=None, noise_shape=None):
        return mu_shape
