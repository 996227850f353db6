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


def label_of(inputs: Mapping[str, Any]) -> tf.Tensor:
    """The label map of a mapping.

    Raises:
        ValueError: if there is none, or it is of another type or rank.
    """
    if "label" not in inputs:
        raise ValueError(
            "a mapping of semantics must hold 'label' or 'condition': received "
            f"{', '.join(map(str, inputs)) or 'nothing'}"
        )
    label = tf.convert_to_tensor(inputs["label"])
    if label.shape.rank != 3 or not label.dtype.is_integer:
        raise ValueError(
            f"label must be integer ids [B, H, W]: received {label.dtype.name} {label.shape}"
        )
    return label


def check_map(inputs: tf.Tensor) -> None:
    """Raises a ValueError unless it is a float map `[B, H, W, C]`."""
    if inputs.shape.rank != 4 or not inputs.dtype.is_floating:
        raise ValueError(
            "semantics must be label ids, int [B, H, W], or a float map [B, H, W, C]: "
            f"received {inputs.dtype.name} {inputs.shape}"
        )


def map_shape(shape: Shape | Mapping[str, Shape]) -> Shape:
    """`(B, H, W)` of semantics, from the shapes of what a layer is called with.

    Args:
        shape: of a tensor, or the shapes of a mapping with `label` or `condition`.
    """
    if isinstance(shape, Mapping):
        shape = shape["label"] if shape.get("label") is not None else shape["condition"]
    return tuple(shape)[:3]


def with_canvas(
    label: tf.Tensor,
    canvas: tf.Tensor,
    edges: tf.Tensor | None,
    channels: int,
    dtype: str | tf.DType,
) -> tf.Tensor:
    """One-hot labels, the canvas, and the edges if there are any, `[B, H, W, C]`.

    Args:
        label: int32 `[B, H, W]`.
        canvas: float `[B, H, W, c]`.
        edges: bool `[B, H, W]`, or None.
        channels: int, of labels and canvas together.
        dtype: of the map.

    Raises:
        ValueError: if an id is out of range.
    """
    num_labels = channels - canvas.shape[-1]
    check_ids(label, num_labels)
    parts = [tf.one_hot(label, num_labels, dtype=dtype), tf.cast(canvas, dtype)]
    if edges is not None:
        parts.append(tf.cast(edges, dtype)[..., None])
    return tf.concat(parts, -1)
