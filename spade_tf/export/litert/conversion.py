"""From a Keras network to the bytes of a LiteRT model."""

from __future__ import annotations

import functools
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf

from spade_tf.export.errors import ExportError
from spade_tf.export.litert.edge_form import with_constants

# How weights are held, and what is computed in.
QUANTIZATIONS = ("float32", "float16", "dynamic_int8", "int8")


class EdgeFunction:
    """A network with final weights at one size, to be converted.

    Args:
        network: whose weights become constants at the first conversion, for all later ones too.
        call: from tensors by name to a mapping of tensors by name.
        inputs: their shapes and dtypes by name, all known.
    """

    def __init__(
        self,
        network: keras.Model,
        call: Callable[..., Mapping[str, tf.Tensor]],
        inputs: Mapping[str, tf.TensorSpec],
    ):
        self.inputs = dict(inputs)
        self.network = network
        self.call = call

    def convert(
        self,
        quantization: str,
        representative: Iterable[Mapping[str, np.ndarray]] = (),
    ) -> bytes:
        """The network as a LiteRT model, with one signature, `serving_default`.

        Args:
            quantization: "float32"; "float16" (weights; computed in float32 on a processor and in
                what a GPU prefers); "dynamic_int8" (weights of convolutions and dense layers,
                activations as they come, on a processor); or "int8" (weights, activations, inputs
                and outputs).
            representative: "int8": inputs by name, that ranges of activations are taken from.

        Returns:
            The content of a `.tflite` file.

        Raises:
            ExportError: if it cannot be converted.
        """
        if quantization not in QUANTIZATIONS:
            raise ExportError(
                f"quantization={quantization!r}: give one of {', '.join(QUANTIZATIONS)}"
            )
        examples = [dict(example) for example in representative]
        if quantization == "int8" and not examples:
            raise ExportError(
                "int8: no label maps to take the ranges of activations from; give some, "
                "or leave int8 out"
            )
        converter = tf.lite.TFLiteConverter.from_saved_model(self._saved_model)
        if quantization != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantization == "int8":
            converter.representative_dataset = lambda: iter(examples)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8
        with warnings.catch_warnings():
            # The converter calibrates with TensorFlow's own interpreter, which says that it
            # is to be replaced by ai_edge_litert's.
            warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated")
            try:
                return converter.convert()
            except Exception as error:
                # Whatever the converter raises, it is about this network.
                reason = " ".join(str(error).split())[:200]
                raise ExportError(f"{quantization}: cannot be converted ({reason})") from error

    @functools.cached_property
    def _saved_model(self) -> str:
        """A SavedModel of the network, made once for all quantizations.

        A generator takes longer to be traced and written than to be converted.
        """
        folder = tempfile.mkdtemp(prefix="spade-tf-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        tf.saved_model.save(tf.Module(), folder, signatures=self._concrete())
        return folder

    def _concrete(self) -> tf.types.experimental.ConcreteFunction:
        constant = with_constants(self.network, self.call)
        names = list(self.inputs)

        def call(*tensors):
            return constant(**dict(zip(names, tensors, strict=True)))

        # Inputs keep their names by the specifications'.
        specs = [
            tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in self.inputs.items()
        ]
        return tf.function(call, autograph=False).get_concrete_function(*specs)
