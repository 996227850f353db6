"""Where gamma and beta come from."""

from __future__ import annotations

import keras
import tensorflow as tf

from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.semantics import Semantics


@keras.saving.register_keras_serializable("spade_tf")
class SpatialModulation(keras.layers.Layer):
    """Two-layer convolutional network from semantics to gamma and beta per pixel.

    `hidden = relu(conv(semantics))`, `gamma = conv(hidden)`, `beta = conv(hidden)`.

    Args:
        filters: int >= 1, channels of gamma and of beta.
        semantic_channels: int >= 1, channels of the semantics' dense map.
        hidden_filters: int >= 1, width of the shared convolution. Default 128.
        kernel_size: odd int, of all three convolutions. Default 3.

    Call arguments:
        semantics: a `Semantics` at the resolution wanted.

    Returns:
        `(gamma, beta)`, each `[B, H, W, filters]`, in the compute dtype.

    Raises:
        ValueError: if `kernel_size` is even.

    Reference: Park et al. 2019, figure 2 and appendix A.
    """

    def __init__(
        self,
        filters: int,
        semantic_channels: int,
        hidden_filters: int = 128,
        kernel_size: int = 3,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd: received {kernel_size}")
        self.filters = filters
        self.semantic_channels = semantic_channels
        self.hidden_filters = hidden_filters
        self.kernel_size = kernel_size
        self.shared = self._conv(hidden_filters, "shared", activation="relu")
        self.gamma = self._conv(filters, "gamma")
        self.beta = self._conv(filters, "beta")

    def _conv(self, filters, name, activation=None):
        return keras.layers.Conv2D(
            filters,
            self.kernel_size,
            padding="same",
            activation=activation,
            kernel_initializer=xavier_normal(),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, *_):
        self.shared.build((None, None, None, self.semantic_channels))
        self.gamma.build((None, None, None, self.hidden_filters))
        self.beta.build((None, None, None, self.hidden_filters))

    def call(self, *, semantics: Semantics):
        hidden = self.shared(tf.cast(semantics.dense, self.compute_dtype))
        return self.gamma(hidden), self.beta(hidden)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "semantic_channels": self.semantic_channels,
            "hidden_filters": self.hidden_filters,
            "kernel_size": self.kernel_size,
        }
