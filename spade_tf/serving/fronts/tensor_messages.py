"""Converts between arrays and TensorFlow's tensor messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from spade_tf.serving.errors import BadRequestError
from spade_tf.serving.fronts.open_inference import strings

# The field that holds a message's numbers if `tensor_content` does not.
_FIELDS = {
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_STRING: "string_val",
}
# This many numbers are read at once, in a few milliseconds.
_PIECE = 1 << 16
_MOST_NUMBERS = 1 << 26


def from_tensor(name: str, tensor: tensor_pb2.TensorProto) -> np.ndarray:
    """Reads the array of a message.

    Unlike `tf.make_ndarray`, it checks the message, and lets other threads run meanwhile.

    Args:
        name: name of the input.
        tensor: the message.

    Raises:
        BadRequestError: if it does not hold an array of its own shape.
    """
    field = _FIELDS.get(tensor.dtype)
    shape = [dimension.size for dimension in tensor.tensor_shape.dim]
    count = math.prod(shape)
    if field is None or tensor.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise BadRequestError(
            f"{name}: dtype {tensor.dtype} of shape {shape[:9]} received; give numbers or strings "
            "of a known shape"
        )
    # Of no number, a shape may still be one that no array has: [0, 2^40, 2^40].
    if math.prod(max(size, 1) for size in shape) > _MOST_NUMBERS or len(shape) > 8:
        raise BadRequestError(f"{name}: shape {shape[:9]} received, which nothing fits")
    given = getattr(tensor, field)
    if field == "string_val":
        if len(given) != count:
            raise _misfit(name, f"{len(given)} strings", shape)
        return strings(given, shape)
    dtype = np.dtype(tf.dtypes.as_dtype(tensor.dtype).as_numpy_dtype)
    if tensor.tensor_content:
        if len(tensor.tensor_content) != count * dtype.itemsize:
            raise _misfit(name, f"{len(tensor.tensor_content)} bytes of {dtype.name}", shape)
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    if len(given) > count or (count and not given):
        raise _misfit(name, f"{len(given)} numbers", shape)
    return _numbers(name, given, dtype, count).reshape(shape)


def _numbers(name: str, given: Any, dtype: np.dtype, count: int) -> np.ndarray:
    array = np.empty([count], dtype)
    for start in range(0, len(given), _PIECE):
        part = given[start : start + _PIECE]
        wide = np.asarray(part)
        if dtype.kind in "iu" and not np.array_equal(wide.astype(dtype), wide):
            raise BadRequestError(f"{name}: numbers that {dtype.name} does not hold; give others")
        array[start : start + len(part)] = wide.astype(dtype)
    # The last number stands for all that are left out.
    array[len(given) :] = array[len(given) - 1] if len(given) else 0
    return array


def _misfit(name: str, received: str, shape: list[int]) -> BadRequestError:
    return BadRequestError(f"{name}: {received} received; give those of shape {shape}")


def to_tensors(outputs: Mapping[str, np.ndarray], message: Any) -> None:
    """Writes arrays into a map of messages."""
    for key, value in outputs.items():
        message[key].CopyFrom(tf.make_tensor_proto(value))
