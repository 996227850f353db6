"""The generator without its SPADE layers: the lower bound for the time of any form with them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from spade_tf.networks.fused.block import FusedBlock
from spade_tf.networks.fused.convolution import Algorithm
from spade_tf.networks.fused.generator import FusedGenerator
from spade_tf.networks.fused.spade import activate


class _Activation(tf.Module):
    def __init__(self, slope: float):
        super().__init__()
        self.slope = slope

    def __call__(self, x, semantics, upsamples=False):
        return activate(x, self.slope)


class _Block(FusedBlock):
    def make_spade(self, spade: Any, dtype: tf.DType, slope: float) -> Any:
        return _Activation(slope)


class MainConvolutions(FusedGenerator):
    """The first layer, the blocks' convolutions, leaky ReLU, upsampling and the last convolution.

    It has the same kernels at the same sizes as the fused generator, and no normalisation.
    """

    def make_block(self, block: Any, dtype: tf.DType, algorithm: Algorithm) -> FusedBlock:
        """The block without its SPADE layers."""
        return _Block(block, dtype, algorithm, upsampling=self.upsampling)
