"""Noise inputs with final strengths."""

from __future__ import annotations

import tensorflow as tf

from spade_tf.layers.noise_input import NoiseInput, add_noise
from spade_tf.networks.fused.weights import array, constant


class FusedNoiseInput(tf.Module):
    """What takes the place of a `NoiseInput`.

    Args:
        layer: a built one.
        dtype: the type that its strengths are held in.
    """

    def __init__(self, layer: NoiseInput, dtype: tf.DType):
        super().__init__(name=layer.name)
        self.noise = layer.noise
        self.strength = constant(array(layer.strength), dtype)

    def __call__(self, x: tf.Tensor, corner: tf.Tensor | None = None) -> tf.Tensor:
        """`x` with its noise; `corner` is as in `add_noise`."""
        return add_noise(x, self.strength, self.noise, corner)
