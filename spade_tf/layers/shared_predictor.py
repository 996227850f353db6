"""One small network from which all SPADE layers of a larger one take gamma and beta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.conditional_norm import as_semantics
from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.padding import check_padding, conv_padding, padded_for
from spade_tf.layers.semantic_inputs import map_shape
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.symbolic import TracesSymbolicCalls


@keras.saving.register_keras_serializable("spade_tf")
class SharedPredictor(TracesSymbolicCalls, keras.layers.Layer):
    """Features of the semantics that `SharedSPADE` layers project to gamma and beta.

    `features = relu(conv(relu(conv(semantics))))`, with the same weights at every resolution. A
    network runs it once per resolution, for all its layers of that resolution. In SPADE, each
    layer has a hidden convolution over the label map, and 3x3 convolutions to gamma and beta;
    here the convolutions are shared, and each layer keeps a 1x1 projection alone. A pixel sees
    the same neighbourhood of labels in both (5x5, by kernels of 3).

    Args:
        semantic_channels: int >= 1, channels of the semantics.
        hidden_filters: int >= 1, width of both convolutions, and so of the features.
            Default 128.
        kernel_size: odd int, of both convolutions. Default 3.
        padding: "zeros", "reflect" or "replicate", of the inputs of both. Default "zeros".

    Call arguments:
        semantics: a `Semantics` of `semantic_channels`, a mapping with `label` and `instance`, int
            label ids `[B, H, W]`, or a float map `[B, H, W, semantic_channels]`;
            at the resolution wanted.

    Returns:
        `[B, H, W, hidden_filters]`, in the compute dtype.

    Raises:
        ValueError: if `kernel_size` is even, or the semantics have other channels.

    Reference: this form is the project's own, after the two-layer network of Park et al. 2019,
        figure 2. Compare Wang et al. 2021 (SC-GAN), https://arxiv.org/abs/2109.07053, where one
        network makes semantic vectors that all layers of the generator are conditioned on.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import SharedPredictor
        >>> tuple(SharedPredictor(3, hidden_filters=4)(np.zeros((1, 8, 8), "int32")).shape)
        (1, 8, 8, 4)
    """

    def __init__(
        self,
        semantic_channels: int,
        hidden_filters: int = 128,
        kernel_size: int = 3,
        padding: str = "zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_padding(padding)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd: received {kernel_size}")
        self.semantic_channels = semantic_channels
        self.hidden_filters = hidden_filters
        self.kernel_size = kernel_size
        self.padding = padding
        self.conv_0 = self._conv("conv_0")
        self.conv_1 = self._conv("conv_1")

    def _conv(self, name):
        return keras.layers.Conv2D(
            self.hidden_filters,
            self.kernel_size,
            padding=conv_padding(self.padding),
            activation="relu",
            kernel_initializer=xavier_normal(),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, *_):
        self.conv_0.build((None, None, None, self.semantic_channels))
        self.conv_1.build((None, None, None, self.hidden_filters))

    def call(self, semantics: Semantics | Mapping[str, Any] | Any):
        semantics = as_semantics(self, semantics, self.semantic_channels)
        x = tf.cast(semantics.dense, self.compute_dtype)
        for conv in (self.conv_0, self.conv_1):
            x = conv(padded_for(x, self.kernel_size, self.padding))
        return x

    def compute_output_shape(self, semantics_shape):
        return (*map_shape(semantics_shape), self.hidden_filters)

    def get_config(self):
        return {
            **super().get_config(),
            "semantic_channels": self.semantic_channels,
            "hidden_filters": self.hidden_filters,
            "kernel_size": self.kernel_size,
            "padding": self.padding,
        }
