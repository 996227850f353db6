"""What a graph asks of a device, before anything runs: operations, multiply-adds, bytes, waits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

# These run no kernel of their own at a call: a value that is there, another view, an order.
_FREE = {
    *("Const", "NoOp", "Placeholder", "PlaceholderWithDefault", "Identity", "IdentityN"),
    *("ReadVariableOp", "Reshape", "ExpandDims", "Squeeze", "Shape", "StopGradient", "_Arg"),
    *("PreventGradient", "PartitionedCall", "StatefulPartitionedCall", "_Retval", "ShapeN"),
}
# The host must know a value of the device before it goes on: how large an output is, which way to
# go, or what Python makes of it.
_WAITS = {
    *("Unique", "UniqueV2", "UniqueWithCounts", "Where", "If", "StatelessIf", "While"),
    *("StatelessWhile", "PyFunc", "EagerPyFunc", "PyFuncStateless", "BooleanMask"),
}


class GraphCost(NamedTuple):
    """What one call of a graph costs.

    Attributes:
        operations: those that run a kernel, those of called functions included.
        waits: operations for which the host waits for the device.
        unknown_sizes: results whose size is not known before the call.
        gmac: billions of multiply-adds of convolutions and products of matrices; NaN where a
            size is unknown.
        gigabytes_fused: what these read and write, the least traffic, if all else is fused with
            them; NaN where a size is unknown.
        gigabytes_by_operation: what all operations read and write, each by itself; NaN likewise.
    """

    operations: int
    waits: int
    unknown_sizes: int
    gmac: float
    gigabytes_fused: float
    gigabytes_by_operation: float

    def rounded(self) -> dict[str, Any]:
        """The fields for a JSON line: three digits, null for NaN."""
        return {
            name: value if isinstance(value, int) else _three_digits(value)
            for name, value in self._asdict().items()
        }


def graph_cost(function: Any) -> GraphCost:
    """Counts a graph.

    Args:
        function: a concrete function.

    Returns:
        Its cost. Branches that may run count as if all did.
    """
    library = function.graph.as_graph_def().library
    bodies = {body.signature.name: body.node_def for body in library.function}
    inner: dict[str, Counter] = {}
    operations = _needed(function)
    types = Counter(operation.type for operation in operations)
    for operation in operations:
        types.update(_called(operation.node_def, bodies, inner))
    running = sum(count for name, count in types.items() if name not in _FREE)
    contractions = traffic = total = 0.0
    unknown = 0
    for operation in operations:
        if operation.type in _FREE:
            continue
        moved = sum(map(_bytes, [*operation.inputs, *operation.outputs]))
        total += moved
        unknown += sum(math.isnan(_bytes(output)) for output in operation.outputs)
        if operation.type in _MACS:
            contractions += _MACS[operation.type](operation)
            traffic += moved
    if any(_computes(body) for body in bodies.values()):
        # A convolution within a branch: its sizes are not known here.
        contractions = traffic = total = math.nan
    return GraphCost(
        running,
        sum(types[name] for name in _WAITS),
        unknown,
        contractions / 1e9,
        traffic / 1e9,
        total / 1e9,
    )


def _needed(function: Any) -> list[Any]:
    """The operations that results or changes of variables come from; the others never run."""
    every = function.graph.get_operations()
    waiting = [tensor.op for tensor in function.outputs]
    waiting += [operation for operation in every if operation.op_def.is_stateful]
    needed = set()
    while waiting:
        operation = waiting.pop()
        if operation.name not in needed:
            needed.add(operation.name)
            waiting += [tensor.op for tensor in operation.inputs]
            waiting += operation.control_inputs
    return [operation for operation in every if operation.name in needed]


def _called(
    node: Any, bodies: Mapping[str, Iterable[Any]], known: dict[str, Counter[str]]
) -> Counter[str]:
    """Operations by type of the functions that a node calls, and that these call."""
    total: Counter[str] = Counter()
    for value in node.attr.values():
        for called in (value.func, *value.list.func):
            if called.name not in bodies:
                continue
            if called.name not in known:
                inside = Counter(each.op for each in bodies[called.name])
                for each in bodies[called.name]:
                    inside.update(_called(each, bodies, known))
                known[called.name] = inside
            total.update(known[called.name])
    return total


def _computes(body: Iterable[Any]) -> bool:
    return any(node.op in _MACS for node in body)


def _bytes(tensor: Any) -> float:
    """Bytes of a tensor; 0 for a handle, NaN for an unknown size."""
    if tensor.dtype in (tf.resource, tf.variant, tf.string):
        return 0.0
    if tensor.op.type == "FusedBatchNormV3" and tensor.value_index == 5:
        # What cuDNN keeps for the gradient has no shape.
        return 0.0
    return _size(tensor) * tensor.dtype.size


def _size(tensor: Any) -> float:
    if not tensor.shape.is_fully_defined():
        return math.nan
    return float(math.prod(tensor.shape))


def _of_convolution(operation: Any) -> float:
    """Multiply-adds of a convolution: of its results, or of what its gradient comes from."""
    if operation.type == "Conv2D":
        kernel, results = operation.inputs[1], operation.outputs[0]
    elif operation.type == "Conv2DBackpropInput":
        kernel, results = operation.inputs[1], operation.inputs[2]
    else:
        kernel, results = operation.outputs[0], operation.inputs[2]
    if not kernel.shape.is_fully_defined():
        return math.nan
    return _size(results) * math.prod(kernel.shape[:3])


def _of_product(operation: Any) -> float:
    left = operation.inputs[0]
    transposed = operation.node_def.attr["transpose_a"].b or operation.node_def.attr["adj_x"].b
    depth = left.shape[-2 if transposed else -1]
    return math.nan if depth is None else _size(operation.outputs[0]) * depth


_MACS: dict[str, Callable[[Any], float]] = {
    "Conv2D": _of_convolution,
    "Conv2DBackpropInput": _of_convolution,
    "Conv2DBackpropFilter": _of_convolution,
    "MatMul": _of_product,
    "BatchMatMulV2": _of_product,
}


def _three_digits(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.3g}")
