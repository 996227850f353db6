"""SPADE layers in one multiply-add each."""

from __future__ import annotations

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spade_tf.layers.class_styles import styled_kernel
from spade_tf.layers.modulation import hidden_table, prefers_lookup, sum_rows
from spade_tf.layers.semantics import Semantics
from spade_tf.networks.fused.convolution import convolve
from spade_tf.networks.fused.weights import array, constant
from spade_tf.networks.upsampling import upsample

# Batches with at most so many pixels always look scale and shift up. The product of matrices that
# a look-up takes is then no larger than the convolution in its place, and faster.
_FEW_PIXELS = 256


class ScaleAndShift(NamedTuple):
    """Scale and shift of one layer, with the batch statistics in them.

    Attributes:
        scale: `[n, C]`, one row for each distinct neighbourhood; `[B, H, W, C]` without `ids`.
        shift: of the shape of `scale`.
        ids: int32 `[B, H, W]` in `[0, n)`, the row of each pixel; or None.
    """

    scale: tf.Tensor
    shift: tf.Tensor
    ids: tf.Tensor | None

    def at_pixels(self) -> ScaleAndShift:
        """The same scales and shifts, one of each per pixel, without `ids`."""
        if self.ids is None:
            return self
        return ScaleAndShift(tf.gather(self.scale, self.ids), tf.gather(self.shift, self.ids), None)


class FusedSPADE(tf.Module):
    """Batch normalisation, SPADE and leaky ReLU as one look-up and one multiply-add.

    At inference, `(x - mean) / std * (1 + gamma) + beta` is `x * scale + shift`. As gamma and
    beta are affine in the hidden features, so are `scale` and `shift`. One convolution computes
    both, with mean and variance in its weights.

    Args:
        spade: a built SPADE layer with batch normalisation.
        dtype: the type that weights are held in, and computed in.
        slope: float, slope of the leaky ReLU for negative values; 1 for no leaky ReLU.
        jit_compile: bool, whether XLA makes one loop of the upsampling, the look-up, the
            multiply-add and the leaky ReLU.
    """

    def __init__(
        self, spade: keras.layers.Layer, dtype: tf.DType, slope: float, jit_compile: bool = False
    ):
        super().__init__(name=spade.name)
        self.slope = slope
        self.jit_compile = jit_compile
        self.form = spade.modulation.form
        self.kernel_size = spade.kernel_size
        self.padding = spade.padding
        norm, layer = spade.normalization, spade.modulation
        mean, variance = array(norm.moving_mean), array(norm.moving_variance)
        gamma, gamma_bias = array(layer.gamma.kernel), array(layer.gamma.bias)
        beta, beta_bias = array(layer.beta.kernel), array(layer.beta.bias)
        inverse = 1.0 / np.sqrt(variance + norm.epsilon)
        scale, scale_bias = gamma * inverse, (1.0 + gamma_bias) * inverse
        shift, shift_bias = beta - mean * scale, beta_bias - mean * scale_bias
        self.hidden_kernel = constant(array(layer.shared.kernel), dtype)
        self.hidden_bias = constant(array(layer.shared.bias), dtype)
        self.style_kernel = None
        if layer.style_kernel is not None:
            self.style_kernel = constant(array(layer.style_kernel), dtype)
        # One matrix, from hidden features to what they add to scale and shift at each tap.
        kernel = np.concatenate([scale, shift], -1)
        kernel = np.moveaxis(kernel, 2, 0)
        self.kernel = constant(kernel.reshape(len(kernel), -1), dtype)
        self.bias = constant(np.concatenate([scale_bias, shift_bias], -1), dtype)

    def __call__(
        self,
        x: tf.Tensor,
        semantics: Semantics | ScaleAndShift,
        upsamples: bool = False,
    ) -> tf.Tensor:
        """Normalised, modulated and activated `x`.

        Args:
            x: `[B, H, W, C]`.
            semantics: at the size of the result, or its `scale_and_shift`. One example serves
                for the whole batch.
            upsamples: bool, whether to make `x` twice as high and wide first, by the nearest pixel.
        """
        if not isinstance(semantics, ScaleAndShift):
            # Tables depend on labels alone. If they did not wait for `x`, all layers would make
            # theirs at once, and fill the memory.
            semantics = self.scale_and_shift(semantics, after=x)
        return self._affine(x, semantics, upsamples)

    def scale_and_shift(
        self, semantics: Semantics, after: tf.Tensor | None = None
    ) -> ScaleAndShift:
        """What a call takes in place of the semantics.

        Args:
            semantics: at the size of the features.
            after: a tensor to wait for; or None.
        """
        prefers = prefers_lookup(semantics, self.kernel_size, self.form, self.padding)
        waiting = tf.control_dependencies([] if after is None else [after])
        if prefers is False:
            dense, kernel = semantics.dense, tf.convert_to_tensor(self.hidden_kernel)
            if self.style_kernel is not None:
                dense = tf.concat([dense, semantics.style_map], -1)
                kernel = tf.concat([kernel, tf.convert_to_tensor(self.style_kernel)], 2)
            with waiting:
                hidden = convolve(tf.cast(dense, kernel.dtype), kernel, self.padding)
            hidden = tf.nn.relu(tf.nn.bias_add(hidden, self.hidden_bias))
            maps = tf.nn.bias_add(self._convolve(hidden), self.bias)
            scale, shift = tf.split(maps, 2, axis=-1)
            return ScaleAndShift(scale, shift, None)
        neighbourhoods = semantics.neighbourhoods(self.kernel_size, self.padding)
        with waiting:
            hidden = self._hidden(semantics, neighbourhoods)

        def look_up():
            scale, shift = self._tables(hidden, neighbourhoods)
            return ScaleAndShift(scale, shift, neighbourhoods.ids)

        def half_look_up():
            # The hidden features are looked up, and convolved. Rows and pixels are the same.
            ids = neighbourhoods.first_ids
            rows = tf.reshape(self._convolve(tf.gather(hidden, ids)), [-1, self.bias.shape[0]])
            scale, shift = self._with_biases(*tf.split(rows, 2, axis=-1))
            return ScaleAndShift(scale, shift, tf.reshape(tf.range(tf.size(ids)), tf.shape(ids)))

        if prefers is True:
            return look_up()
        prefers |= tf.size(neighbourhoods.ids) <= _FEW_PIXELS
        return tf.cond(prefers, look_up, half_look_up)

    def _affine(self, x, given, upsamples):
        if self.jit_compile and given.ids is not None:
            scale, shift, ids = given
            return _compiled_affine(x, scale, shift, self.bias, ids, self.slope, upsamples)
        scale, shift, _ = given.at_pixels()
        return activate((upsample(x) if upsamples else x) * scale + shift, self.slope)

    def _hidden(self, semantics, neighbourhoods):
        kernel = tf.convert_to_tensor(self.hidden_kernel)
        if self.style_kernel is not None:
            style_kernel = tf.convert_to_tensor(self.style_kernel)
            class_styles = tf.cast(semantics.class_styles, kernel.dtype)
            kernel = styled_kernel(kernel, style_kernel, class_styles, semantics.label)
        return hidden_table(kernel, self.hidden_bias, neighbourhoods)

    def _tables(self, hidden, neighbourhoods):
        """Scale and shift of each distinct neighbourhood, `[n2, C]` each.

        With XLA, tables come without biases, which the loop adds, and with spare rows.
        """
        # Each row of products is a row of scale and one of shift. Summed apart, they need no split.
        products = tf.reshape(tf.matmul(hidden, self.kernel), [-1, self.bias.shape[0] // 2])
        count = neighbourhoods.second_count
        if self.jit_compile:
            count = _rounded(count)
        scale, shift = (
            sum_rows(products, rows, neighbourhoods.second_segments, count)
            for rows in neighbourhoods.second_halves
        )
        return self._with_biases(scale, shift)

    def _with_biases(self, scale, shift):
        if self.jit_compile:
            return scale, shift
        scale_bias, shift_bias = tf.split(self.bias, 2)
        return scale + scale_bias, shift + shift_bias

    def _convolve(self, hidden):
        """Scale and shift of every pixel, without biases."""
        size = self.kernel_size
        kernel = tf.reshape(self.kernel, [-1, size, size, self.bias.shape[0]])
        return convolve(hidden, tf.transpose(kernel, [1, 2, 0, 3]), self.padding)


def activate(x: tf.Tensor, slope: float) -> tf.Tensor:
    """Leaky ReLU, or `x` for a slope of 1."""
    return x if slope == 1.0 else tf.nn.leaky_relu(x, slope)


@tf.function(jit_compile=True, autograph=False)
def _compiled_affine(x, scale, shift, bias, ids, slope, upsamples):
    dtype = x.dtype
    if upsamples:
        # A broadcast costs nothing in a loop.
        batch, height, width, channels = tf.unstack(tf.shape(x))
        x = tf.broadcast_to(x[:, :, None, :, None], [batch, height, 2, width, 2, channels])
        x = tf.reshape(x, [batch, 2 * height, 2 * width, channels])
    # The loop computes in float32: rounding after each step would take longer.
    x, scale, shift, bias = (tf.cast(t, tf.float32) for t in (x, scale, shift, bias))
    scale_bias, shift_bias = tf.split(bias, 2)
    x = x * (tf.gather(scale, ids) + scale_bias) + (tf.gather(shift, ids) + shift_bias)
    return tf.cast(activate(x, slope), dtype)


def _rounded(count: tf.Tensor) -> tf.Tensor:
    # The next power of two, at least 256: XLA compiles once per size.
    exponent = tf.math.ceil(tf.math.log(tf.cast(count, tf.float64)) / math.log(2.0))
    return tf.cast(2.0 ** tf.maximum(exponent, 8.0), tf.int32)
