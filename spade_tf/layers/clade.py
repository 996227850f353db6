"""Normalisation with a scale and shift per class."""

from __future__ import annotations

import keras
import tensorflow as tf

from spade_tf.layers.conditional_norm import _ConditionalNorm, as_semantics
from spade_tf.layers.folding import fold_table, scale_table
from spade_tf.layers.initialization import xavier_normal


@keras.saving.register_keras_serializable("spade_tf")
class CLADE(_ConditionalNorm):
    """Class-adaptive (de)normalization.

    Computes `norm(x) * (1 + gamma[label]) + beta[label]`: every class has a vector gamma and a
    vector beta, and a pixel takes those of its label. Where instance edges are used, a pixel on
    one adds the vectors of the edge. There is no convolution: a pixel's neighbours don't count.

    Label ids are looked up; a dense map is multiplied with the same tables (a 1x1 convolution),
    which for a one-hot map gives the same numbers, and runs on edge GPUs.

    Args:
        semantic_channels: int >= 1, rows of the tables: labels, and one for edges if used.
        norm: "batch" (synchronised), "local_batch", "instance", "layer" or "group". Default
            "batch".

    Call arguments:
        x: `[B, H, W, C]` activations.
        semantics: a `Semantics` of `semantic_channels`, a mapping with `label` and `instance`, int
            label ids `[B, H, W]`, or a float map `[B, H, W, semantic_channels]`;
            at any resolution.
        embedding: ignored.
        training: bool, whether to normalise by the batch's statistics.

    Returns:
        `[B, H, W, C]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown, or the semantics have other channels.

    Reference: Tan et al. 2021, "Efficient Semantic Image Synthesis via Class-Adaptive
        Normalization", https://arxiv.org/abs/2012.04644; differs: `1 + gamma`, as
        in SPADE here; edges have rows of the same tables; no positional encoding.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import CLADE
        >>> x, label = np.ones((1, 4, 4, 2), "float32"), np.zeros((1, 8, 8), "int32")
        >>> tuple(CLADE(3)(x, semantics=label).shape)
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
        semantics = as_semantics(self, semantics, self.semantic_channels).like(x)
        table = tf.concat([tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)], -1)
        if semantics.label is None:
            kernel = table[tf.newaxis, tf.newaxis]
            dense = tf.cast(semantics.dense, self.compute_dtype)
            rows = tf.nn.conv2d(dense, kernel, 1, "VALID")
        else:
            # A reshape to the shape it has makes the gradient of the look-up a dense one, which
            # is what optimizers and reductions over replicas take.
            rows = tf.gather(tf.reshape(table, table.shape), semantics.label)
            if semantics.edges is not None:
                rows += tf.cast(semantics.edges, self.compute_dtype)[..., tf.newaxis] * table[-1]
        return tf.split(rows, 2, -1)

    def _fold(self, mean, inverse, num_labels):
        return fold_table(self.gamma, self.beta, mean, inverse, num_labels)

    def scale(self, factors, num_labels=None):
        return scale_table(self.gamma, self.beta, factors, num_labels)

    def get_config(self):
        return {**super().get_config(), "semantic_channels": self.semantic_channels}
