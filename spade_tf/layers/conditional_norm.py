"""What the conditional normalisations have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.folding import FoldsStatistics
from spade_tf.layers.normalization import get_normalization
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.symbolic import TracesSymbolicCalls


class _ConditionalNorm(TracesSymbolicCalls, FoldsStatistics, keras.layers.Layer):
    """Base of normalisations whose scale and shift depend on a condition.

    Computes `norm(x) * (1 + gamma) + beta`. A subclass makes its weights in `build_modulation`
    and gives gamma and beta in `modulation`. All of them are called alike, so that a network
    takes one in place of another.

    Args:
        norm: "batch" (synchronised), "local_batch", "instance", "layer" or "group": the
            parameter-free normalisation. Default "batch".

    Call arguments:
        x: `[B, H, W, C]` activations.
        semantics: a `Semantics`, a mapping or a tensor (see `as_semantics`), at any resolution;
            used by layers that see the label map.
        embedding: `[B, D]`; used by layers that see a vector.
        training: bool, whether to normalise by the batch's statistics.

    Returns:
        `[B, H, W, C]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown, or what the layer conditions on is not given.
    """

    def __init__(self, norm: str = "batch", **kwargs):
        super().__init__(**kwargs)
        self.norm = norm
        self.normalization = get_normalization(norm, dtype=self.dtype_policy, name="normalization")

    def build(self, x_shape):
        channels = x_shape[-1]
        if channels is None:
            raise ValueError(
                f"{type(self).__name__} needs a known number of channels: received {x_shape}"
            )
        self.normalization.build(x_shape)
        self.build_modulation(channels)

    def build_modulation(self, channels: int) -> None:
        """Makes the weights that gamma and beta of `channels` come from."""
        raise NotImplementedError

    def modulation(
        self, x: tf.Tensor, *, semantics: Semantics | None, embedding: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Gamma and beta in the compute dtype, broadcastable to `x`."""
        raise NotImplementedError

    def call(self, x, semantics=None, embedding=None, training=False):
        normalized = self.normalization(x, training=training)
        gamma, beta = self.modulation(x, semantics=semantics, embedding=embedding)
        return normalized * (1.0 + gamma) + beta

    def compute_output_shape(self, x_shape, semantics_shape=None, embedding_shape=None):
        return x_shape

    def get_config(self):
        return {**super().get_config(), "norm": self.norm}


def as_semantics(
    layer: keras.layers.Layer,
    semantics: Semantics | Mapping[str, Any] | Any | None,
    semantic_channels: int,
) -> Semantics:
    """What a layer was called with as a `Semantics` of the channels that it was made for.

    Args:
        layer: who asks, for the message and for its compute dtype.
        semantics: a `Semantics`; a float map `[B, H, W, semantic_channels]`; int label ids
            `[B, H, W]`; or a mapping with `label` (or `condition`) and, if the last channel is
            that of instance edges, `instance`.
        semantic_channels: int, the channels that it was made for.

    Returns:
        The `Semantics`: the same object if it was one.

    Raises:
        ValueError: if they are None, of another number of channels, or hold an id out of range.
    """
    if semantics is not None and not isinstance(semantics, Semantics):
        edges = isinstance(semantics, Mapping) and semantics.get("instance") is not None
        semantics = Semantics.from_inputs(
            semantics,
            num_labels=semantic_channels - int(edges),
            use_instance_edges=edges,
            dtype=layer.compute_dtype,
        )
    if semantics is None or semantics.channels != semantic_channels:
        received = None if semantics is None else semantics.channels
        raise ValueError(
            f"{type(layer).__name__} needs semantics of {semantic_channels} channels: "
            f"received {received}"
        )
    return semantics
