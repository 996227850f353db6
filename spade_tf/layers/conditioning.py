"""The family of conditional normalisations, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import keras

from spade_tf.layers.adain import AdaIN
from spade_tf.layers.clade import CLADE
from spade_tf.layers.conditional_batch_norm import ConditionalBatchNorm
from spade_tf.layers.modulation import check_form
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


# The parts of a `Conditioning` as arguments of networks and blocks, in earlier versions.
_EARLIER = {
    "norm": "norm",
    "hidden_filters": "hidden_filters",
    "kernel_size": "kernel_size",
    "concat": "concat",
    "modulation": "form",
}


class Conditioning(NamedTuple):
    """How label maps, or styles, enter the layers of a generator or of a residual block.

    Attributes:
        kind: what takes the place of normalisation: "spade" (scale and shift from convolutions
            over the label map), "shared_spade" (from features of one `SharedPredictor` for the
            whole network), "clade" (a vector per class), "conditional_batch" (the mean vector of
            the picture's classes), "adain" (from the style vector), "affine" (learned,
            unconditional) or "none" (no scale and shift). Default "spade".
        norm: the normalisation without weights before it: "batch" (synchronised), "local_batch",
            "instance", "layer" or "group". Default "batch".
        hidden_filters: int >= 1, width of SPADE's hidden convolution. Default 128.
        kernel_size: odd int, of SPADE's convolutions. Default 3.
        concat: whether the label map (of "shared_spade", the predictor's features) is also
            concatenated to the input of "convs", every convolution but a network's first, or of
            "blocks", the first convolution of each residual block and of its shortcut; None for
            neither. Default None. The paper's "decoder with Concat" is "convs", of kind "affine".
        form: "dense", "deduplicated" or "auto": how "spade" computes scale and shift, which
            changes neither weights nor, up to rounding, pictures; see `SPADE`. Default "auto".
        class_style_dim: int >= 0, for "spade" alone: length of the style of each class, which
            layers see beside the labels; see `SPADE`. Default 0: no styles of classes.

    Example:
        >>> Conditioning("clade", norm="instance").norm
        'instance'
        >>> Conditioning(hidden_filters=64)._asdict()["kind"]
        'spade'
    """

    kind: str = "spade"
    norm: str = "batch"
    hidden_filters: int = 128
    kernel_size: int = 3
    concat: str | None = None
    form: str = "auto"
    class_style_dim: int = 0

    @classmethod
    def of(cls, value: str | Conditioning, default: Conditioning | None = None) -> Conditioning:
        """What a `conditioning` argument means.

        Args:
            value: a `Conditioning`, or a kind alone, which leaves the rest at its default.
            default: of the rest. Default `Conditioning()`.

        Raises:
            ValueError: if it is neither.
        """
        if isinstance(value, str):
            return (default or cls())._replace(kind=value)
        if not isinstance(value, cls):
            raise ValueError(
                "conditioning must be a Conditioning or the kind of one, such as 'clade': "
                f"received {value!r}"
            )
        return value

    @classmethod
    def in_config(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration whose `conditioning` is a `Conditioning`.

        Args:
            config: of `get_config`; of an earlier version, too, where the parts were arguments of
                their own, and `form` was `modulation`.
        """
        made = dict(config)
        given = made.get("conditioning", "spade")
        if isinstance(given, str):
            parts = {new: made.pop(old) for old, new in _EARLIER.items() if old in made}
            made["conditioning"] = cls(kind=given, **parts)
        elif isinstance(given, Mapping):
            made["conditioning"] = cls(**given)
        return made


def get_conditional_norm(
    conditioning: str | Conditioning,
    *,
    semantic_channels: int,
    embedding_dim: int | None = None,
    padding: str = "zeros",
    dtype: str | keras.DTypePolicy | None = None,
    layer_name: str | None = None,
) -> keras.layers.Layer:
    """A layer that normalises, scales and shifts, by what it conditions on.

    All are called as `layer(x, semantics=semantics, embedding=embedding, training=training)`.

    Args:
        conditioning: a `Conditioning`, whose `concat` is up to the convolutions that follow; or
            its kind alone, such as "clade".
        semantic_channels: int >= 1, channels of the semantics it will be called with.
        embedding_dim: int >= 1, length of the embedding; needed by "adain".
        padding: "zeros", "reflect" or "replicate", of the inputs of convolutions over the label
            map. Default "zeros".
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
    conditioning = Conditioning.of(conditioning)
    check_conditioning(conditioning, embedding_dim)
    kind = conditioning.kind
    common: dict[str, Any] = {"norm": conditioning.norm, "dtype": dtype, "name": layer_name}
    if kind == "spade":
        return SPADE(
            semantic_channels,
            hidden_filters=conditioning.hidden_filters,
            kernel_size=conditioning.kernel_size,
            form=conditioning.form,
            padding=padding,
            class_style_dim=conditioning.class_style_dim,
            **common,
        )
    if kind == "adain" and embedding_dim is not None:
        return AdaIN(embedding_dim, **common)
    if kind in ("affine", "none"):
        return UnconditionalNorm(affine=kind == "affine", **common)
    classes: dict[str, type[keras.layers.Layer]] = {
        "shared_spade": SharedSPADE,
        "clade": CLADE,
        "conditional_batch": ConditionalBatchNorm,
    }
    return classes[kind](semantic_channels, **common)


def check_conditioning(conditioning: Conditioning, embedding_dim: int | None) -> None:
    """Raises a ValueError unless there is such a layer, and an embedding if it needs one.

    Args:
        conditioning: of a network or a block.
        embedding_dim: int, length of the embedding that there is; None for none.
    """
    if conditioning.kind not in CONDITIONINGS:
        raise ValueError(
            f"conditioning must be one of {', '.join(CONDITIONINGS)}: received "
            f"{conditioning.kind!r}"
        )
    if conditioning.concat not in (None, "convs", "blocks"):
        raise ValueError(
            f"concat must be 'convs', 'blocks' or None: received {conditioning.concat!r}"
        )
    check_form(conditioning.form)
    if conditioning.class_style_dim and conditioning.kind != "spade":
        raise ValueError(
            "class_style_dim is for conditioning 'spade': received "
            f"{conditioning.class_style_dim} with {conditioning.kind!r}"
        )
    if conditioning.kind == "adain" and embedding_dim is None:
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
