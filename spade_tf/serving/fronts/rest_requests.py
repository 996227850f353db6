"""Reads requests of TF Serving's REST interface, version 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from spade_tf.serving.bodies import parse_json
from spade_tf.serving.errors import BadRequestError
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.requests import Request, Specs, from_base64, make_request, signature_specs


class RestRequest(NamedTuple):
    """A request of the interface.

    Attributes:
        request: the request to the model.
        by_rows: whether it came in rows. The answer then has rows too.
    """

    request: Request
    by_rows: bool


def read_rest(json: bytes, specs: Specs, limits: RequestLimits) -> RestRequest:
    """Reads a request from its body; see `from_rest`."""
    body = parse_json(json)
    request = from_rest(body, specs, limits)
    return RestRequest(request, "instances" in body)


def from_rest(body: Any, specs: Specs, limits: RequestLimits) -> Request:
    """Makes a request from a parsed body of TF Serving's REST interface, version 1.

    Args:
        body: parsed JSON: `signature_name` (default `serving_default`) and either `instances`, a
            list of rows, or `inputs`, columns.
        specs: specs of the model's inputs.
        limits: limits of a request.

    Raises:
        BadRequestError: if it is not such a body, or does not fit the model.

    Reference: https://www.tensorflow.org/tfx/serving/api_rest
    """
    if not isinstance(body, Mapping):
        raise BadRequestError("the body must be a JSON object with instances or inputs")
    signature = body.get("signature_name", "serving_default")
    wanted = signature_specs(signature, specs)
    if ("instances" in body) == ("inputs" in body):
        raise BadRequestError("give either instances (rows) or inputs (columns)")
    columns = body["inputs"] if "inputs" in body else _columns(body["instances"], wanted)
    if not isinstance(columns, Mapping):
        if len(wanted) != 1:
            raise BadRequestError(f"inputs: give an object of {', '.join(wanted)}")
        columns = {next(iter(wanted)): columns}
    values = {
        key: [_text(key, i, item) for i, item in enumerate(_rows(key, value))]
        if key in wanted and wanted[key].dtype == "string"
        else value
        for key, value in columns.items()
    }
    return make_request(signature, values, specs, limits)


def _columns(rows: Any, wanted: Mapping[str, Any]) -> Any:
    if not isinstance(rows, list) or not rows:
        raise BadRequestError("instances: give a list of one row or more")
    if not isinstance(rows[0], Mapping) or set(rows[0]) == {"b64"}:
        if len(wanted) != 1:
            raise BadRequestError(f"instances: give rows that are objects of {', '.join(wanted)}")
        return {next(iter(wanted)): rows}
    if any(not isinstance(row, Mapping) or set(row) != set(rows[0]) for row in rows):
        raise BadRequestError("instances: rows differ in their keys; give the same in each")
    return {key: [row[key] for row in rows] for key in rows[0]}


def _rows(key: str, value: Any) -> list:
    if not isinstance(value, list):
        raise BadRequestError(f"{key}: give a list, one for each row")
    return value


def _text(key: str, index: int, item: Any) -> bytes:
    if isinstance(item, Mapping) and set(item) == {"b64"}:
        return from_base64(f"{key}[{index}]", item["b64"])
    if isinstance(item, str) and not key.endswith("_bytes"):
        return item.encode()
    raise BadRequestError(f'{key}[{index}]: give a file as {{"b64": "its base64"}}')
