"""LiteRT models run on the processor: to compare them, time them and look into them."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from spade_tf.export.errors import ExportError

# What the GPU delegate (ML Drift) took in these networks, up to four dimensions, each seen to run
# fully accelerated and to give what Keras gives: see tests/proofs/gpu_delegate.py. DEQUANTIZE is of
# float16 weights, TRANSPOSE of the styles of classes. Seen to be refused: the TILE of group
# normalisation. Seen to be wrong: BATCH_MATMUL.
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
        "RESHAPE",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "RSQRT",
        "SPLIT",
        "SQUARED_DIFFERENCE",
        "STRIDED_SLICE",
        "SUB",
        "TANH",
        "TRANSPOSE",
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


class Operations(NamedTuple):
    """What a model consists of.

    Attributes:
        counts: how many operations of each kind.
        largest_rank: of their tensors.
        multiply_adds: of its convolutions and dense layers.
    """

    counts: dict[str, int]
    largest_rank: int
    multiply_adds: int


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
        details = self.runner.get_output_details()
        outputs = self.runner(**self.given(inputs))
        return {name: dequantize(value, details[name]) for name, value in outputs.items()}

    def given(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs in the dtypes that the model takes."""
        details = self.runner.get_input_details()
        return {name: quantize(inputs[name], details[name]) for name in details}

    def milliseconds(self, inputs: Mapping[str, np.ndarray], repeats: int = 5) -> float:
        """Median time of a call, after one that is not counted.

        Args:
            inputs: arrays by name.
            repeats: int >= 1.
        """
        given = self.given(inputs)
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

    def operations(self) -> Operations:
        """What it consists of."""
        module = import_interpreter()
        # XNNPACK would show as one operation in the place of those that it takes.
        interpreter = module.Interpreter(
            model_content=self.content,
            experimental_op_resolver_type=module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        shapes = {t["index"]: t["shape"].tolist() for t in interpreter.get_tensor_details()}
        # Private: there is no public list of operations. test_litert.py checks what is in it.
        details = interpreter._get_ops_details()
        counts = Counter(op["op_name"] for op in details)
        return Operations(
            dict(sorted(counts.items())),
            max(map(len, shapes.values())),
            sum(_multiply_adds(op, shapes) for op in details),
        )

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


def _multiply_adds(operation, shapes):
    kind, inputs = operation["op_name"], operation["inputs"]
    if kind == "FULLY_CONNECTED":
        return math.prod(shapes[inputs[1]]) * math.prod(shapes[inputs[0]][:-1])
    if kind == "CONV_2D":
        # Kernels are of (outputs, height, width, inputs).
        positions = math.prod(shapes[operation["outputs"][0]][:-1])
        return math.prod(shapes[inputs[1]]) * positions
    if kind == "TRANSPOSE_CONV":
        # Inputs are the output's shape, the kernel, and the map.
        return math.prod(shapes[inputs[1]]) * math.prod(shapes[inputs[2]][:-1])
    return 0


def _tensor(name, detail):
    scale, zero_point = detail["quantization"]
    return {
        "name": name,
        "shape": [int(size) for size in detail["shape"]],
        "dtype": np.dtype(detail["dtype"]).name,
        "quantization": {"scale": float(scale), "zero_point": int(zero_point)} if scale else None,
    }
