"""Calls of layers on the symbolic tensors of Keras."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class TracesSymbolicCalls:
    """A layer that learns what a symbolic call returns by tracing its own `call`.

    Inputs that cannot work, such as a map of the wrong channels, then fail when the functional
    model is made, not when it runs. Shapes and dtypes of the outputs are those of the real ones.
    """

    call: Any

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs of `call` as `keras.KerasTensor`s, for arguments that hold such."""
        flat = keras.tree.flatten((args, kwargs))
        symbols = [each for each in flat if isinstance(each, keras.KerasTensor)]

        def trace(*tensors):
            left = iter(tensors)
            given_args, given_kwargs = keras.tree.map_structure(
                lambda each: next(left) if isinstance(each, keras.KerasTensor) else each,
                (args, kwargs),
            )
            return self.call(*given_args, **given_kwargs)

        specs = [tf.TensorSpec(each.shape, each.dtype) for each in symbols]
        traced = tf.function(trace, autograph=False).get_concrete_function(*specs)
        return keras.tree.map_structure(
            lambda each: keras.KerasTensor(each.shape, each.dtype.name), traced.structured_outputs
        )
