"""SPADE whose convolutions over the label map are shared by all layers of a network."""

from __future__ import annotations

import keras
import tensorflow as tf

from spade_tf.layers.conditional_norm import _ConditionalNorm, as_semantics
from spade_tf.layers.folding import fold_affine, scale_affine
from spade_tf.layers.initialization import xavier_normal


@keras.saving.register_keras_serializable("spade_tf")
class SharedSPADE(_ConditionalNorm):
    """Spatially-adaptive normalisation that projects the features of a `SharedPredictor`.

    Computes `norm(x) * (1 + gamma) + beta`, with gamma and beta 1x1 convolutions of the
    features. Called with label maps rather than features, it is CLADE with a bias.

    Args:
        semantic_channels: int >= 1, channels of the features.
        norm: "batch" (synchronised), "local_batch", "instance", "layer" or "group". Default
            "batch".

    Call arguments:
        x: `[B, H, W, C]` activations.
        semantics: a `Semantics` whose dense map are the features, at any resolution.
        embedding: ignored.
        training: bool, whether to normalise by the batch's statistics.

    Returns:
        `[B, H, W, C]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown, or the semantics have other channels.

    Reference: see `SharedPredictor`.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import SharedPredictor, SharedSPADE
        >>> features = SharedPredictor(3, hidden_filters=4)(np.zeros((1, 4, 4), "int32"))
        >>> tuple(SharedSPADE(4)(np.ones((1, 4, 4, 2), "float32"), semantics=features).shape)
        (1, 4, 4, 2)
    """

    def __init__(self, semantic_channels: int, norm: str = "batch", **kwargs):
        super().__init__(norm=norm, **kwargs)
        self.semantic_channels = semantic_channels

    def _conv(self, channels, name):
        conv = keras.layers.Conv2D(
            channels, 1, kernel_initializer=xavier_normal(), dtype=self.dtype_policy, name=name
        )
        conv.build((None, None, None, self.semantic_channels))
        return conv

    def build_modulation(self, channels):
        self.gamma = self._conv(channels, "gamma")
        self.beta = self._conv(channels, "beta")

    def modulation(self, x, *, semantics, embedding):
        semantics = as_semantics(self, semantics, self.semantic_channels).like(x)
        features = tf.cast(semantics.dense, self.compute_dtype)
        return self.gamma(features), self.beta(features)

    def _fold(self, mean, inverse, num_labels):
        return fold_affine(self.gamma, self.beta, mean, inverse)

    def scale(self, factors, num_labels=None):
        return scale_affine(self.gamma, self.beta, factors)

    def get_config(self):
        return {**super().get_config(), "semantic_channels": self.semantic_channels}
