"""The REST front: TF Serving's interface, and the open inference protocol."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from spade_tf.serving.bodies import decompress, parse_json
from spade_tf.serving.dispatch import Dispatch, Target
from spade_tf.serving.errors import (
    BadRequestError,
    OverloadedError,
    ServingError,
    UnavailableError,
    UnsupportedError,
)
from spade_tf.serving.fronts.json_answers import rest_answer
from spade_tf.serving.fronts.model_metadata import metadata_object, status_object
from spade_tf.serving.fronts.open_inference import metadata, read_open, write_open
from spade_tf.serving.fronts.painter import Painter, painter_routes
from spade_tf.serving.fronts.rest_requests import read_rest
from spade_tf.serving.limits import BodyLimits
from spade_tf.serving.model.versions import Servable
from spade_tf.version import __version__

_log = logging.getLogger("spade_tf.serving")

_JSON = "application/json"
_HEADER_LENGTH = "Inference-Header-Content-Length"
_ADDRESSES = (
    "health is at /v2/health/live and /v2/health/ready, the model's state at /v1/models/NAME, "
    "metrics at /metrics, and pictures are made by POST to /v1/models/NAME:predict or "
    "/v2/models/NAME/infer"
)


# Of models, names have no colon: a method follows it.
_NAME = "model_name"


class _NameConvertor(StringConvertor):
    regex = "[^/:]+"


def make_app(dispatch: Dispatch, painter: Painter | None = None) -> Starlette:
    """Makes an application that answers by REST.

    Args:
        dispatch: finds the answers.
        painter: the page at `/`; None for none.
    """
    front = _Front(dispatch)
    register_url_convertor(_NAME, _NameConvertor())
    model = f"{{name:{_NAME}}}"
    one_of = ("", "/versions/{version:int}", f"/labels/{{label:{_NAME}}}")
    routes = [
        *([Route("/", front.live)] if painter is None else painter_routes(dispatch, painter)),
        Route("/metrics", front.metrics),
        Route("/monitoring/prometheus/metrics", front.metrics),
        Route("/v1/models", front.list_models),
        *(
            Route(f"/v1/models/{model}{which}:{method}", action, methods=["POST"])
            for which in one_of
            for method, action in (
                ("predict", front.predict),
                ("classify", front.unsupported),
                ("regress", front.unsupported),
            )
        ),
        *(Route(f"/v1/models/{model}{which}/metadata", front.metadata) for which in one_of),
        *(Route(f"/v1/models/{model}{which}", front.status) for which in one_of),
        Route("/v2", front.server_metadata),
        Route("/v2/health/live", front.live),
        Route("/v2/health/ready", front.ready),
        Route("/v2/models", front.list_models),
        *(
            Route(f"/v2/models/{model}{which}{path}", action, methods=[method])
            for which in ("", "/versions/{version:int}")
            for path, action, method in (
                ("", front.open_metadata, "GET"),
                ("/ready", front.model_ready, "GET"),
                ("/infer", front.infer, "POST"),
            )
        ),
        Route("/v2/repository/index", front.index, methods=["POST"]),
        Route("/v2/repository/models/{path:path}", front.repository, methods=["GET", "POST"]),
    ]
    refused = functools.partial(dispatch.metrics.refused, "rest")
    handlers: dict[Any, Callable[[HttpRequest, Any], Awaitable[Response]]] = {
        ServingError: _answer_error,
        HTTPException: _answer_http,
        Exception: _answer_fault,
    }
    middleware = [Middleware(BodyLimits, limits=dispatch.limits, refused=refused)]
    return Starlette(routes=routes, exception_handlers=handlers, middleware=middleware)


async def _answer_error(request: HttpRequest, error: Any) -> Response:
    _log.warning("%s %s: %s", request.method, request.url.path[:200], error)
    later = isinstance(error, OverloadedError | UnavailableError)
    return JSONResponse({"error": str(error)}, error.status, {"Retry-After": "1"} if later else {})


async def _answer_http(request: HttpRequest, error: Any) -> Response:
    asked = f"{request.method} {request.url.path[:200]}"
    text = f"{asked}: {error.detail}; see docs/SERVING.md"
    if error.status_code == 404:
        text = f"{asked}: there is nothing at this address; {_ADDRESSES}"
    elif error.status_code == 405:
        allowed = sorted((error.headers or {}).get("Allow", "another method").split(", "))
        text = f"{asked}: this address takes {' or '.join(allowed)}; send that"
    return JSONResponse({"error": text}, error.status_code, error.headers)


async def _answer_fault(_: HttpRequest, error: Any) -> Response:
    # Starlette raises the error again, so it is logged with its traceback.
    return JSONResponse({"error": "an error of the server; its log says which"}, 500)


def _target(request: HttpRequest) -> Target:
    found = request.path_params
    return Target(found["name"], found.get("version"), found.get("label", ""))


class _Front:
    def __init__(self, dispatch: Dispatch):
        self._dispatch = dispatch
        self._versions = dispatch.versions

    async def live(self, _: HttpRequest) -> Response:
        return JSONResponse({"live": True})

    async def ready(self, _: HttpRequest) -> Response:
        ready = self._versions.ready
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def metrics(self, _: HttpRequest) -> Response:
        metrics = self._dispatch.metrics
        return Response(metrics.text(), headers={"Content-Type": metrics.content_type})

    async def list_models(self, _: HttpRequest) -> Response:
        return JSONResponse({"models": [self._versions.name]})

    async def status(self, request: HttpRequest) -> Response:
        return JSONResponse(status_object(self._versions.statuses(*_target(request))))

    async def metadata(self, request: HttpRequest) -> Response:
        servable = self._versions.find(*_target(request))
        return JSONResponse(metadata_object(servable, self._versions.name))

    async def unsupported(self, request: HttpRequest) -> Response:
        method = request.url.path.rpartition(":")[2]
        raise UnsupportedError(
            f"{method}: this model makes pictures; ask :predict, with signature_name"
        )

    async def index(self, request: HttpRequest) -> Response:
        body = await self._body(request)
        asked = await self._dispatch.bodies.read(parse_json, body) if body else {}
        if not isinstance(asked, dict) or not isinstance(asked.get("ready", False), bool):
            raise BadRequestError('the body must be a JSON object, such as {"ready": true}')
        return JSONResponse(self._versions.index(asked.get("ready", False)))

    async def repository(self, request: HttpRequest) -> Response:
        raise UnsupportedError(
            "models are not loaded or unloaded by request; put a version into the model's folder, "
            "and it is served"
        )

    async def _body(self, request: HttpRequest) -> bytes:
        encoding = request.headers.get("content-encoding", "")
        most = self._dispatch.limits.max_body_bytes
        body = await request.body()
        return await self._dispatch.bodies.in_thread(decompress, body, encoding, most)

    async def predict(self, request: HttpRequest) -> Response:
        dispatch = self._dispatch

        async def read(specs):
            body = await self._body(request)
            return await dispatch.bodies.read(read_rest, body, specs, dispatch.limits)

        asked, answer = await dispatch.predict(
            "rest", _target(request), read, lambda asked: asked.request
        )
        return _streamed(rest_answer(answer.outputs, asked.by_rows), {"Content-Type": _JSON})

    async def infer(self, request: HttpRequest) -> Response:
        dispatch = self._dispatch

        async def read(specs):
            body = await self._body(request)
            end = _json_length(request.headers.get(_HEADER_LENGTH), len(body))
            head, tail = body[:end], body[end:]
            return await dispatch.bodies.read(read_open, head, tail, specs, dispatch.limits)

        asked, answer = await dispatch.predict(
            "rest_v2", _target(request), read, lambda asked: asked.request
        )
        pieces, length = await dispatch.bodies.in_thread(
            write_open, asked, answer.outputs, self._versions.name, str(answer.version)
        )
        if length is None:
            return _streamed(pieces, {"Content-Type": _JSON})
        kind = "application/octet-stream"
        return _streamed(pieces, {"Content-Type": kind, _HEADER_LENGTH: str(length)})

    async def server_metadata(self, _: HttpRequest) -> Response:
        return JSONResponse(
            {"name": "spade-tf", "version": __version__, "extensions": ["binary_tensor_data"]}
        )

    async def model_ready(self, request: HttpRequest) -> Response:
        try:
            self._versions.find(*_target(request))
        except UnavailableError:
            return JSONResponse({"name": self._versions.name, "ready": False}, 503)
        return JSONResponse({"name": self._versions.name, "ready": True})

    async def open_metadata(self, request: HttpRequest) -> Response:
        return JSONResponse(
            open_metadata(self._versions.find(*_target(request)), self._versions.name)
        )


def open_metadata(servable: Servable, name: str) -> dict[str, Any]:
    """Metadata of a model in the open inference protocol: `serving_default`, then the rest."""
    predictor = servable.predictor
    signatures = {
        signature: {
            "inputs": metadata(predictor.inputs[signature]),
            "outputs": metadata(predictor.outputs[signature]),
        }
        for signature in predictor.inputs
    }
    return {
        "name": name,
        "versions": [str(servable.number)],
        "platform": "tensorflow_savedmodel",
        **signatures["serving_default"],
        "signatures": signatures,
    }


def _json_length(header: str | None, size: int) -> int:
    if header is None:
        return size
    if not (header.isascii() and header.isdecimal()) or int(header[:20]) > size:
        raise BadRequestError(
            f"{_HEADER_LENGTH}: {header[:20]} received, and the body has {size} bytes"
        )
    return int(header)


def _streamed(pieces, headers) -> Response:
    return StreamingResponse(pieces, headers=headers)
