"""SPADE residual blocks with fused layers."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from spade_tf.layers.semantics import Semantics
from spade_tf.networks.fused.convolution import Algorithm, FusedConv2D
from spade_tf.networks.fused.spade import FusedSPADE, ScaleAndShift
from spade_tf.networks.upsampling import upsample


class FusedBlock(tf.Module):
    """A SPADE residual block.

    Args:
        block: a built `SPADEResnetBlock` with SPADE layers.
        dtype: the type that weights are held in, and computed in.
        algorithm: how the 3x3 convolutions are computed; see `FusedConv2D`.
        jit_compile: bool, see `FusedSPADE`.
        upsampling: "nearest" or "bilinear", where it upsamples.
    """

    def __init__(
        self,
        block: keras.layers.Layer,
        dtype: tf.DType,
        algorithm: Algorithm = "convolution",
        jit_compile: bool = False,
        upsampling: str = "nearest",
    ):
        super().__init__(name=block.name)
        self.jit_compile = jit_compile
        self.upsampling = upsampling
        self.spade_0 = self.make_spade(block.spade_0, dtype, 0.2)
        self.spade_1 = self.make_spade(block.spade_1, dtype, 0.2)
        self.conv_0 = FusedConv2D(block.conv_0, dtype, algorithm, block.padding)
        self.conv_1 = FusedConv2D(block.conv_1, dtype, algorithm, block.padding)
        self.spade_s = self.conv_s = None
        if block.learned_shortcut:
            self.spade_s = self.make_spade(block.spade_s, dtype, 1.0)
            self.conv_s = FusedConv2D(block.conv_s, dtype)

    def make_spade(self, spade: keras.layers.Layer, dtype: tf.DType, slope: float) -> FusedSPADE:
        """Makes what takes the place of a SPADE layer and of the leaky ReLU after it."""
        return FusedSPADE(spade, dtype, slope, self.jit_compile)

    def __call__(
        self,
        x: tf.Tensor,
        semantics: Semantics | Sequence[ScaleAndShift],
        upsamples: bool = False,
    ) -> tf.Tensor:
        """`[B, H, W, C]` to `[B, H, W, filters]`, or to twice that size if it upsamples.

        Args:
            x: features.
            semantics: at the size of the result; or the block's `scales_and_shifts`.
            upsamples: bool, whether to make `x` twice as high and wide first.
        """
        by_layer = (semantics,) * 3 if isinstance(semantics, Semantics) else semantics
        shortcut = upsample(x, self.upsampling) if upsamples else x
        # XLA's loop over the pixels can repeat them as it reads them, and no more.
        if not self.jit_compile or self.upsampling != "nearest":
            x, upsamples = shortcut, False
        if self.conv_s is not None and self.spade_s is not None:
            shortcut = self.conv_s(self.spade_s(x, by_layer[2], upsamples))
            # The rest waits for the shortcut. If both ran at once, they would hold a hundred
            # megabytes more of scales and shifts, and their threads would slow one another down.
            with tf.control_dependencies([shortcut]):
                x = tf.identity(x)
        x = self.conv_0(self.spade_0(x, by_layer[0], upsamples))
        x = self.conv_1(self.spade_1(x, by_layer[1]))
        return shortcut + x

    def scales_and_shifts(self, semantics: Semantics) -> list[ScaleAndShift]:
        """What a call takes in place of the semantics: made once, for many features."""
        layers = [self.spade_0, self.spade_1, self.spade_s]
        found = [layer.scale_and_shift(semantics) for layer in layers if layer is not None]
        # XLA's loop looks rows up as fast as it reads them. Without it, look up once, here.
        return found if self.jit_compile else [each.at_pixels() for each in found]
