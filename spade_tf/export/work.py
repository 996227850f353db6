"""How much there is to compute for a picture, and for a style."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from spade_tf.export.checks import Limits
from spade_tf.export.memory import Memory, picture_memory


class Work(NamedTuple):
    """Billions of multiply-adds (GMAC) of what an export makes.

    Attributes:
        height: of the picture that is counted, the trained size.
        width: likewise.
        picture: GMAC of it. They grow with the number of pixels.
        photograph: GMAC of the style of a photograph; 0 without an encoder.
    """

    height: int
    width: int
    picture: float
    photograph: float


def count_work(generator: Any, encoder: keras.Model | None = None) -> Work:
    """Counts the multiply-adds of convolutions and products of matrices.

    Of the generator, it is the dense form that is counted, which computes every pixel. What an
    export computes depends on the label map, and is at most that.

    Args:
        generator: of pictures, not fused.
        encoder: of styles, or None.
    """
    height, width = generator.image_size
    channels = generator.num_labels + int(generator.use_instance_edges)
    semantics = tf.TensorSpec([1, height, width, channels], tf.float32)
    z = None if generator.z_dim is None else tf.TensorSpec([1, generator.z_dim], tf.float32)
    picture = _traced(lambda *inputs: generator(*inputs, training=False), semantics, z)
    photograph = 0
    if encoder is not None:
        image = tf.TensorSpec([1, *encoder.image_size, 3], tf.float32)
        maps = []
        if getattr(encoder, "class_style_dim", 0):
            size = (*encoder.image_size, encoder.num_labels)
            maps = [tf.TensorSpec([1, *size], tf.float32)]
        photograph = _traced(lambda *inputs: encoder(*inputs, training=False), image, *maps)
    return Work(height, width, picture / 1e9, photograph / 1e9)


def write_work(version: Path, work: Work, memory: Mapping[str, Memory], limits: Limits) -> None:
    """Writes `assets.extra/work.json`, which the embedded server bounds requests by.

    Args:
        version: directory of a SavedModel.
        work: of a picture.
        memory: bounds by signature; empty if it was not measured.
        limits: of label maps.
    """
    content = {
        "gmac": {"picture": work.picture, "photograph": work.photograph},
        "height": work.height,
        "width": work.width,
        "memory": {name: bound._asdict() for name, bound in memory.items()},
        # What a replica is to have that makes one picture at a time.
        "largest_picture_bytes": picture_memory(memory, limits),
    }
    path = version / "assets.extra" / "work.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def _traced(function, *inputs):
    given = [each for each in inputs if each is not None]
    graph = tf.function(function, autograph=False).get_concrete_function(*given).graph
    return sum(_multiply_adds(operation) for operation in graph.get_operations())


def _multiply_adds(operation: tf.Operation) -> int:
    if operation.type in ("Conv2D", "Conv2DBackpropInput", "DepthwiseConv2dNative"):
        kernel = operation.inputs[1].shape
        if operation.type == "Conv2DBackpropInput":
            # Each of its inputs meets the whole kernel.
            places = operation.inputs[2].shape
            return math.prod(places[:3]) * math.prod(kernel)
        places = operation.outputs[0].shape[:3]
        return math.prod(places) * math.prod(kernel)
    if operation.type == "MatMul":
        rows = operation.inputs[0].shape
        inner = rows[0 if operation.get_attr("transpose_a") else 1]
        return math.prod(operation.outputs[0].shape) * inner
    return 0
