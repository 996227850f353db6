"""LiteRT models run on the processor: to compare them, time them and look into them."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from spade_tf.export.saved_model import ExportError

# What the GPU delegate (ML Drift) took in these networks, up to four dimensions, each seen to run
# fully accelerated and to give what Keras gives: see tests/gpu_delegate.py. DEQUANTIZE is of
# float16 weights; QUANTIZE of int8 models.
GPU_SAFE_OPS = frozenset(
    {
        "ADD",
        "CONCATENATION",
        "CONV_2D",
        "DEQUANTIZE",
        "FULLY_CONNECTED",
        "LEAKY_RELU",
        "MEAN",
        "MIRROR_PAD",
        "MUL",
        "PAD",
        "PADV2",
        "QUANTIZE",
        "RESHAPE",
        "RESIZE_NEAREST_NEIGHBOR",
        "RSQRT",
        "SPLIT",
        "SQUARED_DIFFERENCE",
        "STRIDED_SLICE",
        "SUB",
        "TANH",
        "TRANSPOSE_CONV",
    }
)


def import_interpreter() -> Any:
    """The module `ai_edge_litert.interpreter`.

    Raises:
        ExportError: if it is not installed.
    """
    try:
        from ai_edge_litert import interpreter
    except ImportError as error:
        raise ExportError(
            "--format=litert: ai-edge-litert is not installed; pip install 'spade-tf[litert]'"
        ) from error
    return interpreter


class LiteRTModel:
    """A LiteRT model on the processor, called with float arrays whatever it computes in.

    Args:
        content: of a `.tflite` file with one signature.
        num_threads: int >= 1; None for as many as there are processors.

    Call arguments:
        **inputs: arrays by name; float ones are quantised where the model wants int8.

    Returns:
        float32 arrays by name.
    """

    def __init__(self, content: bytes, num_threads: int | None = None):
        module = import_interpreter()
        self.content = content
        self.num_threads = num_threads or os.cpu_count() or 1
        self.interpreter = module.Interpreter(model_content=content, num_threads=self.num_threads)
        self.runner = self.interpreter.get_signature_runner()

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name, as float32; inputs that there are none of are left alone."""
        details = self.runner.get_input_details()
        given = {name: quantize(inputs[name], details[name]) for name in details}
        details = self.runner.get_output_details()
        return {
            name: dequantize(value, details[name]) for name, value in self.runner(**given).items()
        }

    def milliseconds(self, inputs: Mapping[str, np.ndarray], repeats: int = 5) -> float:
        """Median time of a call, after one that is not counted.

        Args:
            inputs: arrays by name.
            repeats: int >= 1.
        """
        details = self.runner.get_input_details()
        given = {name: quantize(inputs[name], details[name]) for name in details}
        taken = []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            self.runner(**given)
            taken.append(time.perf_counter() - start)
        return round(1e3 * float(np.median(taken[1:])), 2)

    def describe(self) -> dict[str, Any]:
        """`inputs` and `outputs`, each a list of name, shape, dtype and quantization."""
        return {
            "inputs": [_tensor(n, d) for n, d in self.runner.get_input_details().items()],
            "outputs": [_tensor(n, d) for n, d in self.runner.get_output_details().items()],
        }

    def operations(self) -> tuple[dict[str, int], int]:
        """How many operations of each kind there are, and the largest rank of their tensors."""
        module = import_interpreter()
        # XNNPACK would show as one operation in the place of those that it takes.
        interpreter = module.Interpreter(
            model_content=self.content,
            experimental_op_resolver_type=module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        counts = Counter(op["op_name"] for op in interpreter._get_ops_details())
        rank = max(len(tensor["shape"]) for tensor in interpreter.get_tensor_details())
        return dict(sorted(counts.items())), rank

    def largest_activation(self, examples: list[Mapping[str, np.ndarray]]) -> tuple[float, str]:
        """The largest magnitude that any tensor takes on some inputs, and which one takes it.

        Args:
            examples: inputs by name.
        """
        module = import_interpreter()
        interpreter = module.Interpreter(
            model_content=self.content,
            num_threads=self.num_threads,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        runner = interpreter.get_signature_runner()
        largest, where = 0.0, ""
        for example in examples:
            runner(**{name: example[name] for name in runner.get_input_details()})
            for detail in interpreter.get_tensor_details():
                if not np.issubdtype(detail["dtype"], np.floating):
                    continue
                try:
                    value = interpreter.get_tensor(detail["index"])
                except ValueError:
                    # Of a tensor that another one has taken the place of.
                    continue
                magnitude = float(np.max(np.abs(value), initial=0.0))
                # NaN is never larger: it would slip through the comparison.
                if not magnitude <= largest:
                    largest, where = magnitude, detail["name"]
                    if np.isnan(magnitude):
                        return largest, where
        return largest, where


def quantize(value: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    """Floats as what a model takes: `round(value / scale) + zero_point` for int8.

    Args:
        value: an array.
        detail: of the input, with `dtype` and `quantization`.
    """
    dtype = np.dtype(detail["dtype"])
    if dtype != np.int8 or value.dtype == np.int8:
        return np.ascontiguousarray(value, dtype)
    scale, zero_point = detail["quantization"]
    return np.clip(np.round(value / scale) + zero_point, -128, 127).astype(np.int8)


def dequantize(value: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    """What a model gives, as float32: `(value - zero_point) * scale` for int8.

    Args:
        value: an array.
        detail: of the output, with `dtype` and `quantization`.
    """
    if value.dtype != np.int8:
        return value.astype(np.float32)
    scale, zero_point = detail["quantization"]
    return ((value.astype(np.float32) - zero_point) * scale).astype(np.float32)


def _tensor(name, detail):
    scale, zero_point = detail["quantization"]
    return {
        "name": name,
        "shape": [int(size) for size in detail["shape"]],
        "dtype": np.dtype(detail["dtype"]).name,
        "quantization": {"scale": float(scale), "zero_point": int(zero_point)} if scale else None,
    }
