"""Normalisation that conditions on nothing, called as those that do."""

from __future__ import annotations

import keras
import numpy as np

from spade_tf.layers.folding import FoldsStatistics
from spade_tf.layers.normalization import get_normalization


@keras.saving.register_keras_serializable("spade_tf")
class UnconditionalNorm(FoldsStatistics, keras.layers.Layer):
    """Normalisation, with or without a learned scale and shift per channel.

    Computes `norm(x) * gamma + beta`, or `norm(x)` where `affine` is False. It is called like the
    conditional normalisations, and stands in their place where a network is compared with and
    without them.

    Args:
        norm: "batch" (synchronised), "local_batch", "instance", "layer" or "group". Default
            "batch".
        affine: bool, whether there are a gamma (starting at 1) and a beta (at 0). Default True.

    Call arguments:
        x: `[B, H, W, C]` activations.
        semantics: ignored.
        embedding: ignored.
        training: bool, whether to normalise by the batch's statistics.

    Returns:
        `[B, H, W, C]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown.

    Reference: Ioffe & Szegedy 2015, algorithm 1, https://arxiv.org/abs/1502.03167, for "batch";
        for the others see their layers.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import UnconditionalNorm
        >>> tuple(UnconditionalNorm("instance")(np.ones((1, 4, 4, 2), "float32")).shape)
        (1, 4, 4, 2)
    """

    def __init__(self, norm: str = "batch", affine: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.norm = norm
        self.affine = affine
        self.normalization = get_normalization(norm, dtype=self.dtype_policy, name="normalization")

    def build(self, x_shape):
        channels = x_shape[-1]
        if channels is None:
            raise ValueError(
                f"UnconditionalNorm needs a known number of channels: received {x_shape}"
            )
        self.normalization.build(x_shape)
        if self.affine:
            self.gamma = self.add_weight(shape=(channels,), initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=(channels,), initializer="zeros", name="beta")

    def call(self, x, semantics=None, embedding=None, training=False):
        normalized = self.normalization(x, training=training)
        return normalized * self.gamma + self.beta if self.affine else normalized

    def compute_output_shape(self, x_shape, semantics_shape=None, embedding_shape=None):
        return x_shape

    def _fold(self, mean, inverse, num_labels):
        if not self.affine:
            return False
        scale = np.asarray(self.gamma, "float64") * inverse
        self.beta.assign(np.asarray(self.beta, "float64") - mean * scale)
        self.gamma.assign(scale)
        return True

    def get_config(self):
        return {**super().get_config(), "norm": self.norm, "affine": self.affine}
