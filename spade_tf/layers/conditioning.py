"""The family of conditional normalisations, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import keras

from spade_tf.layers.adain import AdaIN
from spade_tf.layers.clade import CLADE
from spade_tf.layers.conditional_batch_norm import ConditionalBatchNorm
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.shared_predictor import SharedPredictor
from spade_tf.layers.shared_spade import SharedSPADE
from spade_tf.layers.spade import SPADE
from spade_tf.layers.unconditional_norm import UnconditionalNorm

CONDITIONINGS = (
    "spade",
    "shared_spade",
    "clade",
    "conditional_batch",
    "adain",
    "affine",
    "none",
)


def get_conditional_norm(
    name: str,
    *,
    semantic_channels: int,
    embedding_dim: int | None = None,
    hidden_filters: int = 128,
    kernel_size: int = 3,
    norm: str = "batch",
    modulation: str = "auto",
    dtype: str | keras.DTypePolicy | None = None,
    layer_name: str | None = None,
) -> keras.layers.Layer:
    """A layer that normalises, scales and shifts, by what it conditions on.

    All are called as `layer(x, semantics=semantics, embedding=embedding, training=training)`.

    Args:
        name: "spade" (convolutions over the label map), "shared_spade" (projections of the
            features of a `SharedPredictor`), "clade" (a vector per class), "conditional_batch"
            (the mean vector of the picture's classes), "adain" (a vector from an embedding),
            "affine" (learned, unconditional) or "none" (no scale and shift).
        semantic_channels: int >= 1, channels of the semantics it will be called with.
        embedding_dim: int >= 1, length of the embedding; needed by "adain".
        hidden_filters: int >= 1, width of SPADE's shared convolution. Default 128.
        kernel_size: odd int, of SPADE's convolutions. Default 3.
        norm: "batch" (synchronised), "local_batch", "instance", "layer" or "group". Default
            "batch".
        modulation: "dense", "deduplicated" or "auto": how "spade" computes gamma and beta.
            Default "auto".
        dtype: dtype policy of the layer.
        layer_name: str, name of the layer.

    Returns:
        A Keras layer.

    Raises:
        ValueError: if there is no such layer, or "adain" without an `embedding_dim`.

    Example:
        >>> from spade_tf.layers import get_conditional_norm
        >>> type(get_conditional_norm("clade", semantic_channels=3)).__name__
        'CLADE'
    """
    check_conditioning(name, embedding_dim)
    common: dict[str, Any] = {"norm": norm, "dtype": dtype, "name": layer_name}
    if name == "spade":
        return SPADE(
            semantic_channels,
            hidden_filters=hidden_filters,
            kernel_size=kernel_size,
            modulation=modulation,
            **common,
        )
    if name == "adain" and embedding_dim is not None:
        return AdaIN(embedding_dim, **common)
    if name in ("affine", "none"):
        return UnconditionalNorm(affine=name == "affine", **common)
    classes: dict[str, type[keras.layers.Layer]] = {
        "shared_spade": SharedSPADE,
        "clade": CLADE,
        "conditional_batch": ConditionalBatchNorm,
    }
    return classes[name](semantic_channels, **common)


def check_conditioning(name: str, embedding_dim: int | None) -> None:
    """Raises a ValueError unless there is such a layer, and an embedding if it needs one.

    Args:
        name: of a conditional normalisation.
        embedding_dim: int, length of the embedding that there is; None for none.
    """
    if name not in CONDITIONINGS:
        raise ValueError(
            f"conditioning must be one of {', '.join(CONDITIONINGS)}: received {name!r}"
        )
    if name == "adain" and embedding_dim is None:
        raise ValueError(
            "conditioning 'adain' takes gamma and beta from the style vector: give a z_dim "
            "(or embedding_dim)"
        )


def conditions_by_scale(
    semantics: Semantics, predictor: SharedPredictor | None
) -> Callable[[int], Semantics]:
    """What the layers of one forward pass condition on, by how much smaller their map is.

    Args:
        semantics: at full size.
        predictor: of the features that stand in place of the label map, each resolution's
            computed once; None for the label map itself.

    Returns:
        A function of a factor that divides the size.
    """

    @cache
    def at(factor: int) -> Semantics:
        smaller = semantics.downsample(factor)
        return smaller if predictor is None else smaller.with_dense(predictor(semantics=smaller))

    return at
