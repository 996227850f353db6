"""TF Serving's REST interface, version 1."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np

from spade_tf.serving.client.client import Arrays, TransportError
from spade_tf.serving.errors import sentence

# Too many requests, and the codes of proxies and servers for a server that is down at the moment.
RETRYABLE = (429, 502, 503, 504)


class RestTransport:
    """Calls of `/v1/models/NAME:predict`, in columns.

    Args:
        endpoint: `http://HOST:PORT`, with a path before `/v1` if there is one.
        model_name: the server's name for the model.
    """

    def __init__(self, endpoint: str, model_name: str):
        self.endpoint = endpoint.rstrip("/")
        self.url = f"{self.endpoint}/v1/models/{model_name}:predict"
        # A server that is asked rarely, or behind a load balancer, closes idle connections.
        self._client = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0))

    def __str__(self) -> str:
        """The address of the server."""
        return self.endpoint

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], seconds: float) -> Arrays:
        """Returns the outputs of a signature.

        Args:
            signature: name of the signature.
            inputs: arrays by key; arrays of objects for bytes.
            seconds: time limit.

        Raises:
            TransportError: if it fails.
        """
        columns = {key: _to_json(key, value) for key, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns})
        headers = {"Content-Type": "application/json"}
        try:
            response = self._client.post(
                self.url, content=body, headers=headers, timeout=max(seconds, 1e-3)
            )
        except httpx.TimeoutException as error:
            raise TransportError("no answer in time", retryable=False) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            retryable = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
            raise TransportError(str(error), retryable=retryable) from error
        if not response.is_success:
            raise TransportError(
                f"status {response.status_code}: {_reason(response.text[:100_000])}",
                retryable=response.status_code in RETRYABLE,
            )
        try:
            outputs = response.json()["outputs"]
        except (ValueError, LookupError, TypeError) as error:
            raise TransportError(
                f"an answer that is not of TF Serving's REST interface ({error})", retryable=False
            ) from error
        if not isinstance(outputs, dict) or set(outputs) == {"b64"}:
            # A single output is written without its key.
            outputs = {_ONLY_OUTPUT.get(signature, "image"): outputs}
        arrays = {key: _to_array(key, value) for key, value in outputs.items()}
        if signature == "encode_style" and arrays.get("z", np.empty(0)).ndim == 3:
            # A model with styles of classes alone.
            return {"class_styles": arrays["z"]}
        return arrays

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()


_ONLY_OUTPUT = {
    "generate_bytes": "image_bytes",
    "generate_png_bytes": "image_bytes",
    "encode_style": "z",
    "describe": "text",
}


def _reason(text: str) -> str:
    try:
        said = json.loads(text)["error"]
    except (ValueError, LookupError, TypeError):
        said = text
    return sentence(str(said)) if said else "no reason given"


def _to_json(key: str, value: np.ndarray) -> Any:
    if value.dtype != object:
        return value.tolist()
    if key.endswith("_bytes"):
        return [{"b64": base64.b64encode(item).decode()} for item in value]
    return [item.decode() for item in value]


def _to_array(key: str, value: Any) -> np.ndarray:
    if key in ("text", "image_bytes"):
        items = [
            base64.b64decode(item["b64"]) if isinstance(item, dict) else item for item in value
        ]
        return np.array([*items, None], object)[:-1]
    return np.asarray(value, np.uint8 if key == "image" and _whole(value) else np.float32)


def _whole(value: Any) -> bool:
    """Whether the first number is written without a decimal point."""
    while isinstance(value, list):
        value = value[0] if value else 0
    return isinstance(value, int)
