"""Generators as they are best run where their weights never change: on a phone, in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spade_tf.layers.adain import AdaIN
from spade_tf.layers.clade import CLADE
from spade_tf.layers.conditional_batch_norm import ConditionalBatchNorm
from spade_tf.layers.normalization import BatchNorm
from spade_tf.layers.shared_spade import SharedSPADE
from spade_tf.layers.spade import SPADE
from spade_tf.layers.spectral_norm import SpectralConv2D
from spade_tf.layers.spectral_transpose import SpectralConv2DTranspose
from spade_tf.layers.unconditional_norm import UnconditionalNorm


def edge_form(generator: keras.Model, *, one_hot: bool = True) -> keras.Model:
    """A copy for inference, of plain convolutions, whose batch statistics are in its modulation.

    Spectrally normalised kernels are divided by their norm once.

    At inference, `(x - mean) / std * (1 + gamma) + beta` is `x * scale + shift`, with
    `scale = (1 + gamma) / std` and `shift = beta - mean * scale`. Gamma and beta are affine in
    what they are computed from, and so are scale and shift: the copy's weights are such that its
    layers give `scale - 1` and `shift`, and nothing is normalised any more. Other statistics
    (instance, layer, group) are those of the picture at hand, and stay.

    Args:
        generator: a `SPADEGenerator` or `Pix2PixHDGenerator`. It is not changed.
        one_hot: bool, whether the copy will see one label per pixel. In continuous maps, the
            tables of CLADE and of conditional batch normalisation have no row that would always
            count, and keep their batch statistics. Default True.

    Returns:
        A generator of the same class in float32, that convolves dense maps. For inference alone;
        its configuration does not say all of this.
    """
    copy = float32_copy(generator)
    if copy.spectral_norm:
        copy = _without_spectral_norm(copy)
    labels = copy.num_labels if one_hot else None
    for layer in copy._flatten_layers():
        if isinstance(getattr(layer, "normalization", None), BatchNorm):
            _fold(layer, labels)
    return copy


def float32_copy(network: keras.Model) -> keras.Model:
    """The same network with weights of its own, in float32, without look-ups of neighbourhoods.

    Args:
        network: a `SPADEGenerator`, `Pix2PixHDGenerator` or `ConvEncoder`.
    """
    config = {**network.get_config(), "dtype": "float32"}
    if "modulation" in config:
        config["modulation"] = "dense"
    copy = type(network).from_config(config)
    copy.set_weights(network.get_weights())
    return copy


def with_constants(network: keras.Model, call: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose graph holds the weights of a network as constants, not as variables.

    Args:
        network: whose weights.
        call: that calls it.

    Returns:
        A function of the same arguments, to be traced.
    """
    state = [(variable, tf.constant(variable.numpy())) for variable in network.variables]

    def constant_call(*args, **kwargs):
        with keras.StatelessScope(state_mapping=state):
            return call(*args, **kwargs)

    return constant_call


def _without_spectral_norm(generator):
    copy = type(generator).from_config({**generator.get_config(), "spectral_norm": False})
    # The same layers in the same order, but for the class of convolutions.
    pairs = zip(generator._flatten_layers(), copy._flatten_layers(), strict=True)
    for old, new in pairs:
        if isinstance(old, SpectralConv2D | SpectralConv2DTranspose):
            kernel = old.normalized_kernel()
            if isinstance(old, SpectralConv2DTranspose):
                kernel = tf.transpose(kernel, [0, 1, 3, 2])
            new.kernel.assign(kernel)
            if old.use_bias:
                new.bias.assign(old.bias)
        else:
            for one, other in zip(_own_weights(old), _own_weights(new), strict=True):
                other.assign(one)
    return copy


def _own_weights(layer):
    """The weights of a layer that are not those of layers within it."""
    inner = {id(v) for part in layer._flatten_layers(include_self=False) for v in part.variables}
    return [variable for variable in layer.variables if id(variable) not in inner]


def _fold(layer, labels):
    norm = layer.normalization
    mean = np.asarray(norm.moving_mean, "float64")
    inverse = 1.0 / np.sqrt(np.asarray(norm.moving_variance, "float64") + norm.epsilon)
    if isinstance(layer, SPADE):
        _fold_affine(layer.modulation.gamma, layer.modulation.beta, mean, inverse)
    elif isinstance(layer, SharedSPADE | AdaIN):
        _fold_affine(layer.gamma, layer.beta, mean, inverse)
    elif isinstance(layer, CLADE | ConditionalBatchNorm) and labels is not None:
        _fold_table(layer, mean, inverse, labels)
    elif isinstance(layer, UnconditionalNorm) and layer.affine:
        scale = np.asarray(layer.gamma, "float64") * inverse
        layer.beta.assign(np.asarray(layer.beta, "float64") - mean * scale)
        layer.gamma.assign(scale)
    else:
        return
    layer.normalization = _unchanged


def _fold_affine(gamma, beta, mean, inverse):
    """Of two convolutions or dense layers."""
    scale = np.asarray(gamma.kernel, "float64") * inverse
    scale_bias = (1.0 + np.asarray(gamma.bias, "float64")) * inverse
    beta.kernel.assign(np.asarray(beta.kernel, "float64") - mean * scale)
    beta.bias.assign(np.asarray(beta.bias, "float64") - mean * scale_bias)
    gamma.kernel.assign(scale)
    gamma.bias.assign(scale_bias - 1.0)


def _fold_table(layer, mean, inverse, labels):
    """Of tables with a row per label, one of which counts for a pixel, and one for edges."""
    # One in the rows of labels: what a bias would be, since their shares sum to one.
    one = np.zeros((layer.semantic_channels, 1))
    one[:labels] = 1.0
    scale = (one + np.asarray(layer.gamma, "float64")) * inverse
    layer.beta.assign(np.asarray(layer.beta, "float64") - mean * scale)
    layer.gamma.assign(scale - one)


def _unchanged(x, training=False):
    return x
