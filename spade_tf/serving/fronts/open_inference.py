"""The open inference protocol, version 2, over REST: JSON that holds tensors or precedes them.

Reference: https://github.com/kserve/open-inference-protocol; tensors after the JSON are its
"binary tensor data extension".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from spade_tf.serving.bodies import parse_json
from spade_tf.serving.errors import BadRequestError
from spade_tf.serving.fronts.json_answers import flat
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.requests import (
    Request,
    Signature,
    Spec,
    Specs,
    from_base64,
    make_request,
    signature_specs,
)

_DTYPES = {
    **{f"INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BOOL": "bool",
}
_DATATYPES = {dtype: datatype for datatype, dtype in _DTYPES.items()}
# Arrays of these dtypes are accepted for int32 or int64, because their values are checked.
_INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32")


class OpenRequest(NamedTuple):
    """A request of the protocol.

    Attributes:
        request: the request to the model.
        id: text that the answer repeats.
        outputs: by name of a requested output, whether it is binary; None for all outputs.
        binary: whether outputs are binary by default.
    """

    request: Request
    id: str
    outputs: dict[str, bool] | None
    binary: bool


def read_open(json: bytes, tail: bytes, specs: Specs, limits: RequestLimits) -> OpenRequest:
    """Reads a request. Parameter `signature_name` names the signature; default `serving_default`.

    Files are base64 in JSON, because JSON holds no bytes, and plain bytes after the JSON.

    Args:
        json: the JSON part of the body.
        tail: the rest of the body: tensors one after another.
        specs: specs of the model's inputs.
        limits: limits of a request.

    Raises:
        BadRequestError: if it does not fit.
    """
    body = parse_json(json)
    if not isinstance(body, Mapping) or not isinstance(body.get("inputs"), list):
        raise BadRequestError("the body must be a JSON object with a list of inputs")
    parameters = _object(body, "parameters")
    signature = str(parameters.get("signature_name") or "serving_default")
    wanted = signature_specs(signature, specs)
    values: dict[str, Any] = {}
    offset = 0
    for given in body["inputs"]:
        name, datatype, shape = _named(given)
        check_input(name, datatype, shape, values, wanted)
        size = _object(given, "parameters").get("binary_data_size")
        if size is None:
            values[name] = _from_data(name, datatype, shape, given.get("data"))
            continue
        if type(size) is not int or not 0 <= size <= len(tail) - offset:
            raise BadRequestError(
                f"{name}: binary_data_size {str(size)[:20]} received, and {len(tail) - offset} "
                "bytes follow; header Inference-Header-Content-Length says where they begin"
            )
        values[name] = from_raw(name, datatype, shape, tail[offset : offset + size])
        offset += size
    if offset != len(tail):
        raise BadRequestError(f"{len(tail) - offset} bytes follow the last tensor; send none")
    outputs = _wanted_outputs(body)
    request = make_request(signature, values, specs, limits)
    binary = bool(parameters.get("binary_data_output", False))
    return OpenRequest(request, str(body.get("id", "")), outputs, binary)


def _object(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key)
    return value if isinstance(value, Mapping) else {}


def _named(given: Any) -> tuple[str, str, list[int]]:
    shape = given.get("shape") if isinstance(given, Mapping) else None
    if (
        not isinstance(given, Mapping)
        or not isinstance(given.get("name"), str)
        or not isinstance(shape, list)
        or not all(type(size) is int and 0 <= size < 1 << 31 for size in shape)
    ):
        raise BadRequestError("inputs: give objects of name, shape, datatype and data")
    return given["name"], str(given.get("datatype")), shape


def check_input(
    name: str, datatype: str, shape: Sequence[int], values: Mapping[str, Any], wanted: Signature
) -> None:
    """Raises a BadRequestError if an input does not belong to a signature.

    Args:
        name: name of the input.
        datatype: its datatype in the protocol.
        shape: its shape.
        values: inputs that were read before.
        wanted: the signature's inputs.
    """
    if name in values:
        raise BadRequestError(f"{name[:80]}: given twice; give each input once")
    if name not in wanted:
        raise BadRequestError(f"{name[:80]!r} is no input; the inputs are {', '.join(wanted)}")
    spec = wanted[name]
    allowed: tuple[str, ...] = ("FP32",)
    if spec.dtype == "string":
        allowed = ("BYTES",)
    elif np.dtype(spec.dtype).kind in "iu":
        allowed = _INTEGERS
    if datatype not in allowed:
        raise BadRequestError(
            f"{name}: datatype {datatype[:20]} received; give {datatype_of(spec.dtype)}"
        )
    # Of no number, a shape may still be one that no array has: [0, 2^30, 2^30, 2^30].
    if len(shape) > 8 or math.prod(max(size, 1) for size in shape) > 1 << 31:
        raise BadRequestError(f"{name}: shape {list(shape)[:9]} received, which nothing fits")


def from_raw(name: str, datatype: str, shape: Sequence[int], raw: bytes) -> np.ndarray:
    """Makes an array from bytes: little endian, row by row; each string follows its uint32 length.

    Raises:
        BadRequestError: if the bytes do not fit the shape.
    """
    count = math.prod(shape)
    if datatype != "BYTES":
        dtype = np.dtype(_DTYPES[datatype]).newbyteorder("<")
        if len(raw) != count * dtype.itemsize:
            raise _misfit(name, datatype, shape, f"{len(raw)} bytes")
        return np.frombuffer(raw, dtype).reshape(shape)
    items: list[bytes] = []
    offset = 0
    while len(items) < count and offset + 4 <= len(raw):
        (size,) = struct.unpack_from("<I", raw, offset)
        items.append(raw[offset + 4 : offset + 4 + size])
        offset += 4 + size
    if len(items) != count or offset != len(raw):
        raise _misfit(name, datatype, shape, f"{len(raw)} bytes, which are not lengths and strings")
    return strings(items, shape)


def strings(items: Sequence[bytes], shape: Sequence[int]) -> np.ndarray:
    """Makes an array of strings."""
    array = np.empty([len(items)], object)
    array[:] = items
    return array.reshape(shape)


def from_values(name: str, datatype: str, shape: Sequence[int], values: Any) -> np.ndarray:
    """Makes an array from a list of numbers.

    Raises:
        BadRequestError: if they are not numbers, or do not fit the shape.
    """
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError):
        array = np.asarray(None)
    # make_request checks the kind of number.
    if array.size != math.prod(shape) or (array.dtype.kind not in "iuf" and array.size):
        raise _misfit(name, datatype, shape, "other contents")
    return array.reshape(shape)


def _from_data(name: str, datatype: str, shape: Sequence[int], data: Any) -> np.ndarray:
    if datatype != "BYTES":
        return from_values(name, datatype, shape, data)
    if not isinstance(data, list) or len(data) != math.prod(shape):
        raise _misfit(name, datatype, shape, "other contents")
    if name.endswith("_bytes"):
        return strings([from_base64(f"{name}[{i}]", item) for i, item in enumerate(data)], shape)
    if not all(isinstance(item, str) for item in data):
        raise _misfit(name, datatype, shape, "other contents")
    return strings([item.encode() for item in data], shape)


def _misfit(name: str, datatype: str, shape: Sequence[int], received: str) -> BadRequestError:
    return BadRequestError(
        f"{name}: {received} received; give contents of {datatype} of shape {list(shape)}"
    )


def _wanted_outputs(body: Mapping[str, Any]) -> dict[str, bool] | None:
    given = body.get("outputs")
    if not given:
        return None
    if not isinstance(given, list) or not all(
        isinstance(output, Mapping) and isinstance(output.get("name"), str) for output in given
    ):
        raise BadRequestError("outputs: give objects of name and parameters")
    default = _object(body, "parameters").get("binary_data_output", False)
    return {
        output["name"]: bool(_object(output, "parameters").get("binary_data", default))
        for output in given
    }


def chosen_outputs(
    outputs: Mapping[str, np.ndarray], wanted: Sequence[str] | Mapping[str, Any] | None
) -> dict[str, np.ndarray]:
    """Returns the requested outputs.

    Args:
        outputs: outputs of the signature.
        wanted: names; None or empty for all.

    Raises:
        BadRequestError: if there is no such output.
    """
    unknown = [name for name in wanted or () if name not in outputs]
    if unknown:
        raise BadRequestError(
            f"outputs: {unknown[0][:80]!r} is none; the outputs are {', '.join(outputs)}"
        )
    return {key: outputs[key] for key in wanted or outputs}


def write_open(
    asked: OpenRequest, outputs: Mapping[str, np.ndarray], model_name: str, version: str
) -> tuple[Iterator[bytes], int | None]:
    """Writes the answer.

    Returns:
        Its pieces, and the number of bytes of JSON in it, or None if all of it is JSON.
    """
    chosen = chosen_outputs(outputs, asked.outputs)
    binary = {key: (asked.outputs or {}).get(key, asked.binary) for key in chosen}
    tails = [to_raw(value) for key, value in chosen.items() if binary[key]]
    head = _head(asked.id, chosen, binary, tails, model_name, version)
    if not tails:
        return head, None
    text = b"".join(head)
    return iter([text, *tails]), len(text)


def _head(
    identity: str,
    outputs: Mapping[str, np.ndarray],
    binary: Mapping[str, bool],
    tails: Sequence[bytes],
    model_name: str,
    version: str,
) -> Iterator[bytes]:
    start: dict[str, Any] = {"model_name": model_name, "model_version": version}
    if identity:
        start["id"] = identity
    yield orjson.dumps(start)[:-1] + b',"outputs":['
    sizes = iter([len(tail) for tail in tails])
    for index, (key, value) in enumerate(outputs.items()):
        output = {
            "name": key,
            "datatype": datatype_of("string" if value.dtype == object else value.dtype.name),
            "shape": list(value.shape),
        }
        comma = b"," if index else b""
        if binary[key]:
            yield comma + orjson.dumps({**output, "parameters": {"binary_data_size": next(sizes)}})
            continue
        yield comma + orjson.dumps(output)[:-1] + b',"data":'
        yield from flat(key, value)
        yield b"}"
    yield b"]}"


def to_raw(value: np.ndarray) -> bytes:
    """The bytes of an array; see `from_raw`."""
    if value.dtype != object:
        return value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
    return b"".join(struct.pack("<I", len(item)) + item for item in value.ravel())


def datatype_of(dtype: str) -> str:
    """The protocol's name of a dtype."""
    return "BYTES" if dtype == "string" else _DATATYPES[dtype]


def metadata(specs: Mapping[str, Spec]) -> list[dict[str, Any]]:
    """Names, datatypes and shapes (-1 for any) of inputs or outputs."""
    return [
        {
            "name": key,
            "datatype": datatype_of(spec.dtype),
            "shape": [-1 if size is None else size for size in spec.shape],
        }
        for key, spec in specs.items()
    ]
