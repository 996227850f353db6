"""Generators and encoders as functions to convert, and what to call them with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spade_tf.export.litert.conversion import EdgeFunction
from spade_tf.export.litert.edge_form import float32_copy
from spade_tf.export.style_inputs import StyleInputs
from spade_tf.layers.semantics import Semantics


def edge_functions(edge: keras.Model) -> tuple[EdgeFunction, EdgeFunction]:
    """A generator as called with dense maps, and with label ids.

    Args:
        edge: what `edge_form` made of it.
    """
    size = edge.image_size
    style = StyleInputs.of(edge).specs(1)
    dense = {"semantics": tf.TensorSpec((1, *size, edge.semantic_channels), tf.float32), **style}
    ids = {"label": tf.TensorSpec((1, *size), tf.int32)}
    if edge.use_instance_edges:
        ids["instance"] = tf.TensorSpec((1, *size), tf.int32)

    def from_dense(semantics, z=None, class_styles=None):
        if class_styles is not None:
            semantics = Semantics(edge.num_labels, dense=semantics, class_styles=class_styles)
        return {"image": edge(inputs=semantics, z=z, training=False)}

    def from_ids(label, instance=None, **style):
        return from_dense(_dense(edge, {"label": label, "instance": instance}), **style)

    return EdgeFunction(edge, from_dense, dense), EdgeFunction(edge, from_ids, {**ids, **style})


def _dense(generator, layout):
    return Semantics.from_inputs(
        layout,
        num_labels=generator.num_labels,
        use_instance_edges=generator.use_instance_edges,
    ).dense


def edge_inputs(
    generator: keras.Model, layouts: Sequence[Any], seed: int = 0
) -> list[dict[str, np.ndarray]]:
    """What edge models of a generator are called with, each layout in a style of its own.

    Args:
        generator: whose.
        layouts: what it is called with, a batch of one each.
        seed: int, of the styles.

    Returns:
        `semantics`, `z` and `class_styles` where there are such styles, `label` and `instance`
        where there are ids.
    """
    random = np.random.default_rng(seed)
    inputs = []
    for layout in layouts:
        arrays = {"semantics": np.asarray(_dense(generator, layout), "float32")}
        if isinstance(layout, Mapping):
            label = np.asarray(layout["label"], "int32")
            instance = layout.get("instance")
            arrays["label"] = label
            # One instance all over has no edges.
            arrays["instance"] = np.asarray(
                np.zeros_like(label) if instance is None else instance, "int32"
            )
        for name, spec in StyleInputs.of(generator).specs(1).items():
            arrays[name] = random.standard_normal(tuple(spec.shape), np.float32)
        inputs.append(arrays)
    return inputs


def encoder_function(encoder: keras.Model) -> EdgeFunction:
    """An encoder as called with a photograph, for the mean of its style.

    Args:
        encoder: a `ConvEncoder`.
    """
    copy = float32_copy(encoder)
    return EdgeFunction(
        copy,
        lambda image: {"z": copy(image, training=False)[0]},
        {"image": tf.TensorSpec((1, *copy.image_size, 3), tf.float32)},
    )
