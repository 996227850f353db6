"""What a layer may be given as semantics: its checks, and its shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

Shape = tuple[int | None, ...]


def check_ids(label: Any, num_labels: int) -> None:
    """Raises a ValueError that names an id which is out of range, where ids can be looked at.

    Args:
        label: int ids of any shape. Nothing is checked while a graph is being traced.
        num_labels: int >= 1, ids are `[0, num_labels)`.
    """
    if not tf.executing_eagerly() or not tf.size(label):
        return
    low, high = int(tf.reduce_min(label)), int(tf.reduce_max(label))
    if low < 0 or high >= num_labels:
        raise ValueError(
            f"label ids must be in [0, {num_labels}): received {low if low < 0 else high}; "
            f"give unknown pixels (often 255 in files) an id of this range, or raise num_labels"
        )


def check_not_symbolic(*tensors: Any) -> None:
    """Raises a ValueError if one of them is a symbolic tensor of Keras."""
    if any(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
        raise ValueError(
            "Semantics cannot hold a symbolic tensor of Keras: in a functional model, give the "
            "tensor, or a mapping with label and instance, to the layer itself"
        )


def map_shape(shape: Shape | Mapping[str, Shape]) -> Shape:
    """`(B, H, W)` of semantics, from the shapes of what a layer is called with.

    Args:
        shape: of a tensor, or the shapes of a mapping with `label` or `condition`.
    """
    if isinstance(shape, Mapping):
        shape = shape["label"] if shape.get("label") is not None else shape["condition"]
    return tuple(shape)[:3]
