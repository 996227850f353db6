"""The open inference protocol, version 2, as kserve reads and writes it."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from kserve import InferOutput, InferRequest, InferResponse
from kserve.utils.numpy_codec import from_np_dtype

from spade_tf.serving.errors import BadRequestError
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.requests import Request, Specs, from_base64, make_request, signature_specs

# Arrays of these may take the place of int32 or int64: their values are checked.
_INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32")


def from_open_inference(request: InferRequest, specs: Specs, limits: RequestLimits) -> Request:
    """A request of the protocol; parameter `signature_name` says which signature.

    Files are bytes in gRPC, and base64 in JSON, which holds no bytes.

    Args:
        request: as kserve read it.
        specs: of the model's inputs.
        limits: of a request.

    Raises:
        BadRequestError: if it does not fit.
    """
    signature = _parameter(request.parameters, "signature_name") or "serving_default"
    wanted = signature_specs(signature, specs)
    values: dict[str, Any] = {}
    for given in request.inputs:
        name = given.name
        if name in values:
            raise BadRequestError(f"{name}: given twice; give each input once")
        if name in wanted:
            _check_datatype(name, given.datatype, wanted[name])
        try:
            array = given.as_numpy()
        except Exception as error:
            # Any of many, as its contents may be of any length and kind.
            reason = " ".join(str(error).split())[:120]
            raise BadRequestError(
                f"{name}: contents that are no {given.datatype} of shape {list(given.shape)} "
                f"({reason})"
            ) from None
        if array.dtype == object and not request.from_grpc and name.endswith("_bytes"):
            files = [from_base64(f"{name}[{i}]", item) for i, item in enumerate(array.ravel())]
            array = np.array([*files, None], object)[:-1].reshape(array.shape)
        elif array.dtype == object:
            texts = [item.encode() if isinstance(item, str) else item for item in array.ravel()]
            array = np.array([*texts, None], object)[:-1].reshape(array.shape)
        values[name] = array
    return make_request(signature, values, specs, limits)


def _check_datatype(name: str, datatype: str, spec: tf.TensorSpec) -> None:
    allowed: tuple[str, ...] = ("FP32",)
    if spec.dtype == tf.string:
        allowed = ("BYTES",)
    elif spec.dtype.is_integer:
        allowed = _INTEGERS
    if datatype not in allowed:
        raise BadRequestError(
            f"{name}: datatype {datatype[:20]} received; give {_datatype(spec.dtype)}"
        )


def _parameter(parameters: Any, name: str) -> str:
    if not parameters or name not in parameters:
        return ""
    value = parameters[name]
    # In gRPC it is a message.
    return str(getattr(value, "string_param", value))


def to_open_inference(
    request: InferRequest, outputs: Mapping[str, np.ndarray], model_name: str
) -> InferResponse:
    """The answer to a request of the protocol.

    Args:
        request: as kserve read it.
        outputs: of the signature.
        model_name: to name in the answer.
    """
    written = []
    for key, value in outputs.items():
        output = InferOutput(key, list(value.shape), from_np_dtype(value.dtype))
        if request.from_grpc:
            output.set_data_from_numpy(value, binary_data=True)
        else:
            output.data = _json_ready(key, value)
        written.append(output)
    return InferResponse(
        response_id=request.id or str(uuid.uuid4()),
        model_name=model_name,
        infer_outputs=written,
        use_binary_outputs=request.use_binary_outputs,
        requested_outputs=request.request_outputs,
    )


def _json_ready(key, value):
    if value.dtype != object or not key.endswith("_bytes"):
        return value
    return np.array([base64.b64encode(item) for item in value], object)


def metadata(specs: Mapping[str, tf.TensorSpec]) -> list[dict[str, Any]]:
    """Names, datatypes and shapes (-1 for any) of inputs or outputs."""
    return [
        {
            "name": key,
            "datatype": _datatype(spec.dtype),
            "shape": [-1 if size is None else size for size in spec.shape.as_list()],
        }
        for key, spec in specs.items()
    ]


def _datatype(dtype: tf.DType) -> str:
    return "BYTES" if dtype == tf.string else from_np_dtype(np.dtype(dtype.as_numpy_dtype))
