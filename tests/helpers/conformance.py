"""How the conformance tests make and call a layer or network.

To add a class, write a function in `conformance_layers.py` or `conformance_networks.py` that
returns its `Case`, under `@register(TheClass)`: `config` holds the constructor's arguments (small,
and where possible not the defaults), `inputs` the tensors of one call by name (ranges, not random),
and `call` says how the class is called with them. A class may have several cases. A class of
spade_tf.layers or spade_tf.networks that has none fails test_register.py.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spade_tf.layers.semantics import Semantics, instance_edges


def call_with_x(layer, inputs, training):
    return layer(inputs["x"], training=training)


class Case(NamedTuple):
    """How to make one layer or network, and how to call it.

    Attributes:
        config: constructor arguments.
        inputs: arrays of one call by name, batch first. Their batch, height and width are unknown
            in the test of unknown sizes.
        call: `(layer, tensors, training) -> outputs`.
        call_plainly: the same without a `Semantics`, as with symbolic tensors; None if `call` does.
        build_shapes: arguments of `build`; not used for a class that builds in its constructor.
        output_shape_arguments: of `compute_output_shape`.
        float32_output: whether outputs are float32 whatever the compute dtype.
    """

    config: Mapping[str, Any]
    inputs: Mapping[str, np.ndarray]
    call: Callable[..., Any] = call_with_x
    call_plainly: Callable[..., Any] | None = None
    build_shapes: tuple[Any, ...] = ()
    output_shape_arguments: tuple[Any, ...] = ()
    float32_output: bool = False
    layer_class: type[keras.layers.Layer] = keras.layers.Layer

    def make(self, **overrides: Any) -> keras.layers.Layer:
        return self.layer_class(**{**self.config, **overrides})

    def make_built(self, **overrides: Any) -> keras.layers.Layer:
        layer = self.make(**overrides)
        if not layer.built:
            layer.build(*self.build_shapes)
        return layer

    def call_with_tensors(self, layer: keras.layers.Layer, inputs: Any) -> Any:
        return (self.call_plainly or self.call)(layer, inputs, training=False)

    def tensors(self) -> dict[str, tf.Tensor]:
        return {name: tf.constant(array) for name, array in self.inputs.items()}


CASES: dict[str, Case] = {}

# Inputs whose sizes are those that a layer was made for, whatever the size of maps.
VECTORS = {"class_styles"}


def register(layer_class: type[keras.layers.Layer]) -> Callable[..., Any]:
    """Registers the case that the decorated function returns, under the function's name."""

    def add(function):
        CASES[function.__name__] = function()._replace(layer_class=layer_class)
        return function

    return add


def ramp(*shape: int) -> np.ndarray:
    """Values from -1 to 1 on a curve, so that no two rows are multiples of each other."""
    x = np.linspace(-1.0, 1.0, int(np.prod(shape)))
    return (0.5 * x + 0.5 * np.sin(37.0 * x)).astype("float32").reshape(shape)


def stripes(batch: int, height: int, width: int, count: int) -> np.ndarray:
    """Label ids that change every few pixels. Each example has every id."""
    ids = np.arange(batch * height * width).reshape(batch, height, width)
    return (ids // 5 % count).astype("int32")


def labels(size: tuple[int, int] = (16, 16)) -> dict[str, np.ndarray]:
    return {"label": stripes(2, *size, 3), "instance": stripes(2, *size, 7)}


def semantics_of(layer, inputs):
    return Semantics(
        3,
        label=inputs["label"],
        edges=instance_edges(inputs["instance"]),
        dtype=layer.compute_dtype,
    )


def mapping_of(inputs):
    return {"label": inputs["label"], "instance": inputs["instance"]}


def call_with_mapping(layer, inputs, training):
    return layer(inputs["x"], mapping_of(inputs), training=training)


def call_with_semantics(layer, inputs, training):
    semantics = semantics_of(layer, inputs)
    return layer(inputs["x"], semantics=semantics, training=training)


X = {"x": ramp(2, 8, 12, 6)}
X_SHAPE = (None, None, None, 6)


def of_x(config):
    return Case(config, X, build_shapes=(X_SHAPE,), output_shape_arguments=(X["x"].shape,))


def conditional(config):
    return Case(
        config,
        X | labels((16, 24)),
        call_with_semantics,
        call_with_mapping,
        build_shapes=(X_SHAPE,),
        output_shape_arguments=(X["x"].shape,),
    )


# --- layers ---------------------------------------------------------------------------------
