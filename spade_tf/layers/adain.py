"""Normalisation with a scale and shift per picture, from an embedding."""

from __future__ import annotations

import keras
import tensorflow as tf

from spade_tf.layers.conditional_norm import _ConditionalNorm
from spade_tf.layers.folding import fold_affine
from spade_tf.layers.initialization import xavier_normal


@keras.saving.register_keras_serializable("spade_tf")
class AdaIN(_ConditionalNorm):
    """Adaptive instance normalisation.

    Computes `norm(x) * (1 + gamma) + beta`, with one gamma and beta per picture and channel, each
    a dense layer of an embedding, such as the style z. The label map is not seen.

    Args:
        embedding_dim: int >= 1, length of the embedding.
        norm: "instance" for what the name says; "batch", "local_batch", "layer" or "group".
            Default "instance".

    Call arguments:
        x: `[B, H, W, C]` activations.
        semantics: ignored.
        embedding: `[B, embedding_dim]`.
        training: bool, whether to normalise by the batch's statistics.

    Returns:
        `[B, H, W, C]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown, or there is no embedding of that length.

    Reference: Huang & Belongie 2017, Eq. 8, https://arxiv.org/abs/1703.06868; with learned
        scales as in Karras et al. 2019, Eq. 1, https://arxiv.org/abs/1812.04948; differs:
        `1 + gamma`, as in SPADE here.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import AdaIN
        >>> x, style = np.ones((1, 4, 4, 2), "float32"), np.ones((1, 6), "float32")
        >>> tuple(AdaIN(6)(x, embedding=style).shape)
        (1, 4, 4, 2)
    """

    def __init__(self, embedding_dim: int, norm: str = "instance", **kwargs):
        super().__init__(norm=norm, **kwargs)
        if embedding_dim < 1:
            raise ValueError(f"embedding_dim must be >= 1: received {embedding_dim}")
        self.embedding_dim = embedding_dim

    def _dense(self, channels, name):
        dense = keras.layers.Dense(
            channels, kernel_initializer=xavier_normal(), dtype=self.dtype_policy, name=name
        )
        dense.build((None, self.embedding_dim))
        return dense

    def build_modulation(self, channels):
        self.gamma = self._dense(channels, "gamma")
        self.beta = self._dense(channels, "beta")

    def modulation(self, x, *, semantics, embedding):
        if embedding is None or embedding.shape[-1] != self.embedding_dim:
            received = None if embedding is None else embedding.shape
            raise ValueError(
                f"AdaIN needs an embedding [B, {self.embedding_dim}]: received {received}"
            )
        gamma, beta = self.gamma(embedding), self.beta(embedding)
        return gamma[:, tf.newaxis, tf.newaxis], beta[:, tf.newaxis, tf.newaxis]

    def _fold(self, mean, inverse, num_labels):
        return fold_affine(self.gamma, self.beta, mean, inverse)

    def get_config(self):
        return {**super().get_config(), "embedding_dim": self.embedding_dim}
