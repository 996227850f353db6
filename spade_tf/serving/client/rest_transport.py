"""TF Serving's REST interface, version 1."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import numpy as np

from spade_tf.serving.client.client import Arrays, TransportError
from spade_tf.serving.errors import sentence

# Too many requests, and the codes of proxies and servers for a server that is down at the moment.
RETRYABLE = (429, 502, 503, 504)


class _Patient:
    """Reads an answer that comes before the whole body is sent, such as "too large".

    A server that refuses a body closes the connection while the client sends. Sending then fails,
    but the answer can still be read.
    """

    def send(self, data: Any) -> None:
        """Sends bytes; http.client's method."""
        try:
            super().send(data)  # type: ignore[misc]
        except (BrokenPipeError, ConnectionResetError):
            if getattr(self, "sock", None) is None:
                raise


class _HttpConnection(_Patient, http.client.HTTPConnection):
    pass


class _HttpsConnection(_Patient, http.client.HTTPSConnection):
    pass


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_HttpConnection, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_HttpsConnection, req, context=ssl.create_default_context())


class RestTransport:
    """Calls of `/v1/models/NAME:predict`, in columns.

    Args:
        endpoint: `http://HOST:PORT`, with a path before `/v1` if there is one.
        model_name: the server's name for the model.
    """

    def __init__(self, endpoint: str, model_name: str):
        self.endpoint = endpoint.rstrip("/")
        self.url = f"{self.endpoint}/v1/models/{model_name}:predict"
        self._opener = urllib.request.build_opener(_HttpHandler, _HttpsHandler)

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
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url, body, headers)
        try:
            with self._opener.open(request, timeout=max(seconds, 1e-3)) as response:
                outputs = json.load(response)["outputs"]
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(100_000).decode(errors="replace")
            raise TransportError(
                f"status {error.code}: {_reason(text)}", retryable=error.code in RETRYABLE
            ) from error
        except (ValueError, LookupError, TypeError) as error:
            raise TransportError(
                f"an answer that is not of TF Serving's REST interface ({error})", retryable=False
            ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            late = isinstance(reason, TimeoutError)
            raise TransportError(
                "no answer in time" if late else str(reason), retryable=not late
            ) from error
        if not isinstance(outputs, dict) or set(outputs) == {"b64"}:
            # A single output is written without its key.
            outputs = {_ONLY_OUTPUT.get(signature, "image"): outputs}
        return {key: _to_array(key, value) for key, value in outputs.items()}

    def close(self) -> None:
        """Does nothing: no connection stays open."""


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
