"""Batch normalisation with a scale and shift per picture, from the classes in it."""

from __future__ import annotations

import keras
import tensorflow as tf

from spade_tf.layers.conditional_norm import _ConditionalNorm, as_semantics
from spade_tf.layers.folding import fold_table, scale_table
from spade_tf.layers.initialization import xavier_normal


@keras.saving.register_keras_serializable("spade_tf")
class ConditionalBatchNorm(_ConditionalNorm):
    """Conditional batch normalisation, conditioned on the classes of a label map.

    Computes `norm(x) * (1 + gamma) + beta` with one gamma and beta per picture and channel. Every
    class has a vector of each, and a picture takes their mean over its pixels, which is linear in
    the class shares: `gamma = sum_k share[k] * gamma[k]`. That is how a layer made for one class
    per picture is read here for a label map; of a map of one class alone it takes that class's
    vectors. Where something lies in the picture is lost, which is what it is compared for.

    Args:
        semantic_channels: int >= 1, rows of the tables: labels, and one for edges if used.
        norm: "batch" (synchronised) or "local_batch" for what the name says; "instance" for
            conditional instance normalisation; "layer" or "group". Default "batch".

    Call arguments:
        x: `[B, H, W, C]` activations.
        semantics: a `Semantics` of `semantic_channels`, a mapping with `label` and `instance`, int
            label ids `[B, H, W]`, or a float map `[B, H, W, semantic_channels]`.
            Shares are taken at the resolution it comes in.
        embedding: ignored.
        training: bool, whether to normalise by the batch's statistics.

    Returns:
        `[B, H, W, C]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown, or the semantics have other channels.

    Reference: de Vries et al. 2017, https://arxiv.org/abs/1707.00683; Dumoulin et al. 2017 (per
        style, on instance statistics), https://arxiv.org/abs/1610.07629. The reading for label
        maps is this project's.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import ConditionalBatchNorm
        >>> x, label = np.ones((1, 4, 4, 2), "float32"), np.zeros((1, 8, 8), "int32")
        >>> tuple(ConditionalBatchNorm(3)(x, semantics=label).shape)
        (1, 4, 4, 2)
    """

    def __init__(self, semantic_channels: int, norm: str = "batch", **kwargs):
        super().__init__(norm=norm, **kwargs)
        if semantic_channels < 1:
            raise ValueError(f"semantic_channels must be >= 1: received {semantic_channels}")
        self.semantic_channels = semantic_channels

    def build_modulation(self, channels):
        shape = (self.semantic_channels, channels)
        self.gamma = self.add_weight(shape=shape, initializer=xavier_normal(), name="gamma")
        self.beta = self.add_weight(shape=shape, initializer=xavier_normal(), name="beta")

    def modulation(self, x, *, semantics, embedding):
        semantics = as_semantics(self, semantics, self.semantic_channels)
        # Float32: half precision cannot count the pixels of a picture.
        shares = tf.reduce_mean(tf.cast(semantics.dense, tf.float32), [1, 2])
        shares = tf.cast(shares, self.compute_dtype)
        gamma = tf.matmul(shares, tf.convert_to_tensor(self.gamma))
        beta = tf.matmul(shares, tf.convert_to_tensor(self.beta))
        return gamma[:, tf.newaxis, tf.newaxis], beta[:, tf.newaxis, tf.newaxis]

    def _fold(self, mean, inverse, num_labels):
        return fold_table(self.gamma, self.beta, mean, inverse, num_labels)

    def scale(self, factors, num_labels=None):
        return scale_table(self.gamma, self.beta, factors, num_labels)

    def get_config(self):
        return {**super().get_config(), "semantic_channels": self.semantic_channels}
