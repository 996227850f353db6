"""The residual block of the SPADE generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.conditional_norm import as_semantics
from spade_tf.layers.conditioning import Conditioning, check_conditioning, get_conditional_norm
from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.padding import check_padding, conv_padding, padded_for
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spectral_norm import SpectralConv2D
from spade_tf.layers.symbolic import TracesSymbolicCalls


@keras.saving.register_keras_serializable("spade_tf")
class SPADEResnetBlock(TracesSymbolicCalls, keras.layers.Layer):
    """Residual block in which SPADE takes the place of normalisation.

    `shortcut(x) + conv_1(lrelu(spade_1(conv_0(lrelu(spade_0(x))))))`, with `min(in, out)` filters
    in the middle. Where input and output differ in channels, the shortcut is
    `conv_s(spade_s(x))`, 1x1, without bias and without activation; else it is x.

    Args:
        filters: int >= 1, output channels.
        semantic_channels: int >= 1, channels of the semantics.
        spectral_norm: bool, whether the block's convolutions are spectrally normalised; those
            inside SPADE never are. Default True.
        conditioning: a `Conditioning`: what takes the place of normalisation, and what is
            concatenated; or its kind alone, such as "clade". Default "spade".
        embedding_dim: int >= 1, length of the embedding; needed by "adain". Default None.

        padding: "zeros", "reflect" or "replicate", of the inputs of all 3x3 convolutions, those
            inside SPADE included. Default "zeros".

    Call arguments:
        x: `[B, H, W, C]`.
        semantics: a `Semantics` of `semantic_channels`, a mapping with `label` and `instance`, int
            label ids `[B, H, W]`, or a float map `[B, H, W, semantic_channels]`;
            at any resolution.
        embedding: `[B, embedding_dim]`; used by "adain".
        training: bool.

    Returns:
        `[B, H, W, filters]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown, or an argument is none of its values.

    Reference: Park et al. 2019, figure 4 and appendix A; for `concat`, section 4.

    Example:
        >>> import numpy as np
        >>> from spade_tf import Conditioning, SPADEResnetBlock
        >>> x, label = np.ones((1, 4, 4, 2), "float32"), np.zeros((1, 8, 8), "int32")
        >>> block = SPADEResnetBlock(6, 3, conditioning=Conditioning(hidden_filters=4))
        >>> tuple(block(x, label).shape)
        (1, 4, 4, 6)
    """

    def __init__(
        self,
        filters: int,
        semantic_channels: int,
        spectral_norm: bool = True,
        conditioning: str | Conditioning = "spade",
        embedding_dim: int | None = None,
        padding: str = "zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.semantic_channels = semantic_channels
        self.spectral_norm = spectral_norm
        self.conditioning = Conditioning.of(conditioning)
        self.embedding_dim = embedding_dim
        self.padding = padding
        check_conditioning(self.conditioning, embedding_dim)
        check_padding(padding)

    def _spade(self, x_shape, name):
        spade = get_conditional_norm(
            self.conditioning,
            semantic_channels=self.semantic_channels,
            embedding_dim=self.embedding_dim,
            padding=self.padding,
            dtype=self.dtype_policy,
            layer_name=name,
        )
        spade.build(x_shape)
        return spade

    def _conv(self, x_shape, filters, kernel_size, name, use_bias=True, concat=False):
        if concat:
            x_shape = (*x_shape[:-1], x_shape[-1] + self.semantic_channels)
        if self.spectral_norm:
            conv = SpectralConv2D(
                filters,
                kernel_size,
                padding=conv_padding(self.padding),
                use_bias=use_bias,
                dtype=self.dtype_policy,
                name=name,
            )
        else:
            conv = keras.layers.Conv2D(
                filters,
                kernel_size,
                padding=conv_padding(self.padding),
                use_bias=use_bias,
                kernel_initializer=xavier_normal(),
                dtype=self.dtype_policy,
                name=name,
            )
        conv.build(x_shape)
        return conv

    def build(self, x_shape):
        channels = x_shape[-1]
        if channels is None:
            raise ValueError(
                f"SPADEResnetBlock needs a known number of channels: received {x_shape}"
            )
        middle = min(channels, self.filters)
        middle_shape = (*x_shape[:-1], middle)
        first, second = self._concatenates()
        self.spade_0 = self._spade(x_shape, "spade_0")
        self.conv_0 = self._conv(x_shape, middle, 3, "conv_0", concat=first)
        self.spade_1 = self._spade(middle_shape, "spade_1")
        self.conv_1 = self._conv(middle_shape, self.filters, 3, "conv_1", concat=second)
        self.learned_shortcut = channels != self.filters
        if self.learned_shortcut:
            self.spade_s = self._spade(x_shape, "spade_s")
            self.conv_s = self._conv(
                x_shape, self.filters, 1, "conv_s", use_bias=False, concat=first
            )

    def call(
        self, x, semantics: Semantics | Mapping[str, Any] | Any, embedding=None, training=False
    ):
        semantics = as_semantics(self, semantics, self.semantic_channels).like(x)
        condition = {"semantics": semantics, "embedding": embedding, "training": training}

        def convolve(conv, x, concat, kernel_size=3):
            if concat:
                x = tf.concat([x, tf.cast(semantics.dense, x.dtype)], -1)
            x = padded_for(x, kernel_size, self.padding)
            return conv(x, training=training) if self.spectral_norm else conv(x)

        first, second = self._concatenates()
        shortcut = x
        if self.learned_shortcut:
            shortcut = convolve(self.conv_s, self.spade_s(x, **condition), first, 1)
        x = tf.nn.leaky_relu(self.spade_0(x, **condition), 0.2)
        x = convolve(self.conv_0, x, first)
        x = tf.nn.leaky_relu(self.spade_1(x, **condition), 0.2)
        x = convolve(self.conv_1, x, second)
        return shortcut + x

    def normalized_convolutions(self) -> list[tuple[keras.layers.Layer, keras.layers.Layer]]:
        """Each conditional normalisation, and the convolution that its output goes to."""
        pairs = [(self.spade_0, self.conv_0), (self.spade_1, self.conv_1)]
        return pairs + ([(self.spade_s, self.conv_s)] if self.learned_shortcut else [])

    def _concatenates(self):
        """Whether the label map is concatenated for the first convolution, and for the second."""
        concat = self.conditioning.concat
        return concat is not None, concat == "convs"

    def compute_output_shape(self, x_shape, semantics_shape=None, embedding_shape=None):
        return (*x_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "semantic_channels": self.semantic_channels,
            "spectral_norm": self.spectral_norm,
            "conditioning": self.conditioning._asdict(),
            "embedding_dim": self.embedding_dim,
            "padding": self.padding,
        }

    @classmethod
    def from_config(cls, config):
        """Makes a block from what `get_config` gives, or gave in earlier versions."""
        return super().from_config(Conditioning.in_config(config))
