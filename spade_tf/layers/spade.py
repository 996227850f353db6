"""The layer that gives the project its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from spade_tf.layers.conditional_norm import as_semantics
from spade_tf.layers.folding import FoldsStatistics, fold_affine, scale_affine
from spade_tf.layers.modulation import SpatialModulation, check_form
from spade_tf.layers.normalization import get_normalization
from spade_tf.layers.padding import check_padding
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.symbolic import TracesSymbolicCalls


@keras.saving.register_keras_serializable("spade_tf")
class SPADE(TracesSymbolicCalls, FoldsStatistics, keras.layers.Layer):
    """Spatially-adaptive (de)normalization.

    Computes `norm(x) * (1 + gamma) + beta`, with gamma and beta per pixel from the semantics.

    Args:
        semantic_channels: int >= 1, channels of the semantics: labels, and one for edges if used.
        hidden_filters: int >= 1, width of the shared convolution. Default 128.
        kernel_size: odd int, of the convolutions over the semantics. Default 3.
        norm: "batch" (synchronised), "local_batch", "instance", "layer" or "group": the
            parameter-free normalisation. Default "batch".
        form: "dense", "deduplicated" or "auto": how gamma and beta are computed; the weights are
            the same and so is the result, up to rounding. See `SpatialModulation`. Default "auto".
        padding: "zeros", "reflect" or "replicate", of the inputs of the convolutions. Default
            "zeros".
        class_style_dim: int >= 0, length D of the vector of each class, a style of its own, that
            gamma and beta depend on beside the labels; 0 for none. Default 0.

    Call arguments:
        x: `[B, H, W, C]` activations.
        semantics: a `Semantics` of `semantic_channels`, a mapping with `label` and `instance`, int
            label ids `[B, H, W]`, or a float map `[B, H, W, semantic_channels]`;
            at any resolution. With a `class_style_dim`, it holds `class_styles`, float
            `[B, labels, D]`: as a `Semantics` or a mapping.
        embedding: ignored; other conditional normalisations take one.
        training: bool, whether to normalise by the batch's statistics.

    Returns:
        `[B, H, W, C]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown, the semantics have other channels, or class styles are
            missing or too many.

    Reference: Park et al. 2019, Eq. 1-3, https://arxiv.org/abs/1903.07291;
        differs: `1 + gamma`, as in the official release. For class styles, Zhu et al. 2020
        (SEAN), https://arxiv.org/abs/1911.12861, whose vectors of regions make gamma and beta in
        a branch of their own, which is mixed with SPADE's; here they are further channels of the
        map that SPADE sees. Sushko et al. 2021 (OASIS), https://arxiv.org/abs/2012.04781, draw
        them.

    Example:
        >>> import numpy as np
        >>> from spade_tf import SPADE
        >>> x, label = np.ones((1, 4, 4, 2), "float32"), np.zeros((1, 8, 8), "int32")
        >>> tuple(SPADE(3, hidden_filters=4)(x, semantics=label).shape)
        (1, 4, 4, 2)
    """

    def __init__(
        self,
        semantic_channels: int,
        hidden_filters: int = 128,
        kernel_size: int = 3,
        norm: str = "batch",
        form: str = "auto",
        padding: str = "zeros",
        class_style_dim: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_form(form)
        check_padding(padding)
        self.semantic_channels = semantic_channels
        self.hidden_filters = hidden_filters
        self.kernel_size = kernel_size
        self.norm = norm
        self.form = form
        self.padding = padding
        self.class_style_dim = class_style_dim
        self.normalization = get_normalization(norm, dtype=self.dtype_policy, name="normalization")

    def build(self, x_shape):
        channels = x_shape[-1]
        if channels is None:
            raise ValueError(f"SPADE needs a known number of channels: received {x_shape}")
        self.normalization.build(x_shape)
        self.modulation = SpatialModulation(
            channels,
            self.semantic_channels,
            hidden_filters=self.hidden_filters,
            kernel_size=self.kernel_size,
            form=self.form,
            padding=self.padding,
            class_style_dim=self.class_style_dim,
            dtype=self.dtype_policy,
            name="modulation",
        )
        self.modulation.build()

    def call(
        self, x, semantics: Semantics | Mapping[str, Any] | Any, embedding=None, training=False
    ):
        semantics = as_semantics(self, semantics, self.semantic_channels)
        normalized = self.normalization(x, training=training)
        # Gradients need gamma and beta of all layers, whenever they are made.
        after = None if training else normalized
        gamma, beta = self.modulation(semantics=semantics.like(x), after=after)
        return normalized * (1.0 + gamma) + beta

    def compute_output_shape(self, x_shape, semantics_shape=None, embedding_shape=None):
        return x_shape

    def _fold(self, mean, inverse, num_labels):
        return fold_affine(self.modulation.gamma, self.modulation.beta, mean, inverse)

    def scale(self, factors, num_labels=None):
        return scale_affine(self.modulation.gamma, self.modulation.beta, factors)

    def get_config(self):
        return {
            **super().get_config(),
            "semantic_channels": self.semantic_channels,
            "hidden_filters": self.hidden_filters,
            "kernel_size": self.kernel_size,
            "norm": self.norm,
            "form": self.form,
            "padding": self.padding,
            "class_style_dim": self.class_style_dim,
        }

    @classmethod
    def from_config(cls, config):
        """Makes a layer from what `get_config` gives, or gave in earlier versions."""
        # The form was called modulation.
        return super().from_config(
            {"form" if key == "modulation" else key: value for key, value in config.items()}
        )
