"""Copies of generators for phones and browsers, where weights never change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.folding import FoldsStatistics
from spade_tf.layers.nested import nested_layers
from spade_tf.layers.noise_input import NoiseInput


def edge_form(generator: keras.Model, *, one_hot: bool = True) -> keras.Model:
    """A copy for inference, of plain convolutions and without batch statistics.

    Spectrally normalised kernels are divided by their norm once. The weights of conditional
    normalisations take up the batch statistics: see `spade_tf.layers.folding`. Statistics of the
    picture at hand (instance, layer, group) stay.

    Args:
        generator: a `SPADEGenerator` or `Pix2PixHDGenerator`. It is not changed.
        one_hot: bool, whether the copy will see one label per pixel. For continuous maps, CLADE
            and conditional batch normalisation keep their batch statistics. Default True.

    Returns:
        A generator of the same class in float32 that convolves dense maps. Use it for inference
        alone, and do not save it: its configuration does not tell that statistics are folded.
    """
    copy = float32_copy(generator)
    if copy.spectral_norm:
        copy = _without_spectral_norm(copy)
    for layer in nested_layers(copy):
        if isinstance(layer, FoldsStatistics):
            layer.fold_statistics(copy.num_labels if one_hot else None)
        elif isinstance(layer, NoiseInput):
            layer.multiply_at_run_time()
    return copy


def float32_copy(network: keras.Model) -> keras.Model:
    """The same network with weights of its own, in float32, without look-ups of neighbourhoods.

    Args:
        network: a `SPADEGenerator`, `Pix2PixHDGenerator` or `ConvEncoder`.
    """
    config = {**network.get_config(), "dtype": "float32"}
    if "conditioning" in config:
        config["conditioning"] = {**config["conditioning"], "form": "dense"}
    copy = type(network).from_config(config)
    copy.set_weights(network.get_weights())
    return copy


def with_constants(network: keras.Model, call: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose graph holds the weights of a network as constants, not as variables.

    Args:
        network: whose weights.
        call: a function that calls the network.

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
    # The copy has the same layers in the same order. Only the class of convolutions differs.
    for old, new in zip(nested_layers(generator), nested_layers(copy), strict=True):
        if hasattr(old, "plain_weights"):
            new.set_weights(old.plain_weights())
        else:
            for one, other in zip(_own_weights(old), _own_weights(new), strict=True):
                other.assign(one)
    return copy


def _own_weights(layer):
    """The weights of a layer that are not those of layers within it."""
    inner = {id(v) for part in nested_layers(layer)[1:] for v in part.variables}
    return [variable for variable in layer.variables if id(variable) not in inner]
