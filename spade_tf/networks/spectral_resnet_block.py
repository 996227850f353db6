"""A residual block of spectrally normalised convolutions."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.spectral_norm import SpectralConv2D
from spade_tf.networks.upsampling import upsample

RESAMPLINGS = ("none", "down", "up")


@keras.saving.register_keras_serializable("spade_tf")
class SpectralResnetBlock(keras.layers.Layer):
    """`shortcut(x) + conv(lrelu(conv(lrelu(x))))`, with 3x3 convolutions.

    "up" repeats pixels before the first convolution, "down" averages 2x2 pixels after the second.
    The shortcut does likewise, with a 1x1 convolution where the number of channels changes.

    Args:
        filters: int >= 1, output channels.
        resampling: "none", "down" or "up". Default "none".
        activate: bool, whether a leaky ReLU comes first: not for pictures. Default True.

    Call arguments:
        x: `[B, H, W, C]`.
        training: bool, whether to make power iterations.

    Returns:
        `[B, H, W, filters]`, or half or twice as high and wide; odd sizes are halved up.

    Raises:
        ValueError: if an argument is none of the above.

    Reference: Sushko et al. 2021, section 3.1 and appendix, https://arxiv.org/abs/2012.04781.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.networks import SpectralResnetBlock
        >>> tuple(SpectralResnetBlock(4, resampling="down")(tf.ones([1, 8, 8, 2])).shape)
        (1, 4, 4, 4)
    """

    def __init__(
        self, filters: int, resampling: str = "none", activate: bool = True, **kwargs: Any
    ):
        super().__init__(**kwargs)
        if resampling not in RESAMPLINGS:
            raise ValueError(
                f"resampling must be one of {', '.join(RESAMPLINGS)}: received {resampling!r}"
            )
        self.filters = filters
        self.resampling = resampling
        self.activate = activate
        self.conv_0 = SpectralConv2D(filters, 3, dtype=self.dtype_policy, name="conv_0")
        self.conv_1 = SpectralConv2D(filters, 3, dtype=self.dtype_policy, name="conv_1")
        self.conv_s: SpectralConv2D | None = None

    def build(self, x_shape):
        channels = x_shape[-1]
        if channels is None:
            raise ValueError(f"SpectralResnetBlock needs known channels: received {x_shape}")
        self.conv_0.build((None, None, None, channels))
        self.conv_1.build((None, None, None, self.filters))
        if channels != self.filters:
            self.conv_s = SpectralConv2D(
                self.filters, 1, use_bias=False, dtype=self.dtype_policy, name="conv_s"
            )
            self.conv_s.build((None, None, None, channels))

    def call(self, x, training=False):
        y = tf.nn.leaky_relu(x, 0.2) if self.activate else x
        if self.resampling == "up":
            y = upsample(y)
        y = self.conv_0(y, training=training)
        y = self.conv_1(tf.nn.leaky_relu(y, 0.2), training=training)
        # A 1x1 convolution and a resampling may change places: the order is the cheaper one.
        if self.resampling == "down":
            x, y = _halve(x), _halve(y)
        if self.conv_s is not None:
            x = self.conv_s(x, training=training)
        return (upsample(x) if self.resampling == "up" else x) + y

    def compute_output_shape(self, x_shape):
        batch, *size, _ = x_shape
        if self.resampling == "down":
            size = [n and -(-n // 2) for n in size]
        if self.resampling == "up":
            size = [n and 2 * n for n in size]
        return (batch, *size, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "resampling": self.resampling,
            "activate": self.activate,
        }


def _halve(x):
    return tf.nn.avg_pool2d(x, 2, 2, "SAME")
