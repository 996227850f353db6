"""Spectral norms, worked out once instead of at every call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

from spade_tf.layers.nested import nested_layers


def spectral_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a network whose kernels are divided by their spectral norms."""
    return [layer for layer in nested_layers(network) if hasattr(layer, "normalized_kernel")]


def unbaked_variables(network: keras.Model) -> list[keras.Variable]:
    """The variables that there is need of once spectral norms are baked."""
    layers = spectral_layers(network)
    left_out = {id(weight) for layer in layers for weight in (layer.kernel, layer.u, layer.v)}
    return [variable for variable in network.variables if id(variable) not in left_out]


@contextmanager
def spectral_norms_baked(network: keras.Model) -> Iterator[list[tf.Variable]]:
    """While it lasts, what is traced of a network uses kernels that are divided already.

    Args:
        network: built. It is itself again afterwards.

    Yields:
        The divided kernels, which what is traced refers to.
    """
    layers, kernels = spectral_layers(network), []
    try:
        for layer in layers:
            kernel = tf.Variable(layer.normalized_kernel(), trainable=False)
            kernels.append(kernel)
            # On the instance, before the method of its class.
            layer.__dict__["normalized_kernel"] = _returning(kernel)
        yield kernels
    finally:
        for layer in layers:
            layer.__dict__.pop("normalized_kernel", None)


def _returning(kernel):
    def normalized_kernel(training=False):
        if training:
            raise ValueError("a network whose spectral norms are baked is not for training")
        return tf.convert_to_tensor(kernel)

    return normalized_kernel
