"""The embedded server: an export behind kserve's ModelServer.

REST of TF Serving (version 1), the open inference protocol (version 2) over REST and gRPC, health
and Prometheus metrics are kserve's. What is here reads a request, asks the model, and writes the
answer; the same class serves an InferenceService on Kubernetes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import kserve
import kserve.model_server
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from grpc import StatusCode
from grpc_interceptor.exceptions import GrpcException
from kserve.errors import InferenceError, InvalidInput, ModelNotFound, UnsupportedProtocol
from kserve.protocol.dataplane import DataPlane

from spade_tf.serving.batching import MicroBatcher
from spade_tf.serving.errors import BadRequestError, OverloadedError
from spade_tf.serving.limits import BodyLimits, RequestLimits
from spade_tf.serving.open_inference import from_open_inference, metadata, to_open_inference
from spade_tf.serving.predictor import Predictor, newest_version
from spade_tf.serving.requests import Request, from_rest, to_rest


class _Refusal(InvalidInput):
    """A bad request, as kserve's gRPC front knows it."""


class _Overload(GrpcException):
    """Too many requests, likewise."""

    status_code = StatusCode.RESOURCE_EXHAUSTED


class SpadeModel(kserve.Model):
    """An export, as kserve asks for it.

    Args:
        name: that requests name.
        directory: of the export.
        limits: of a request.
        micro_batch: int >= 1, rows that concurrent requests are put together to; 1 for never.
        num_threads: int >= 1, batches that are made at once.
    """

    def __init__(
        self,
        name: str,
        directory: str | os.PathLike[str],
        *,
        limits: RequestLimits,
        micro_batch: int = 1,
        num_threads: int = 1,
    ):
        super().__init__(name)
        self.directory = directory
        self.limits = limits
        self.micro_batch = micro_batch
        self.num_threads = num_threads
        self.load()

    def load(self) -> bool:
        """Loads the export and makes its warm-up requests; kserve's method."""
        self.predictor = Predictor(self.directory)
        self.warmed_up = self.predictor.warm_up()
        self.batcher = MicroBatcher(
            self.predictor.run,
            max_rows=self.micro_batch,
            num_threads=self.num_threads,
            max_queue=self.limits.max_queue,
        )
        self.ready = True
        return self.ready

    def get_input_types(self) -> list[dict[str, Any]]:
        """Inputs of `serving_default`; kserve's method."""
        return metadata(self.predictor.inputs["serving_default"])

    def get_output_types(self) -> list[dict[str, Any]]:
        """Outputs of `serving_default`; kserve's method."""
        return metadata(self.predictor.outputs["serving_default"])

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Answers a request; kserve's method.

        Args:
            payload: JSON of version 1, or an `InferRequest` of version 2.
            headers: of the request.
            response_headers: unused.

        Raises:
            InvalidInput: saying what is wrong with the request.
        """
        loop = asyncio.get_running_loop()
        try:
            request = await loop.run_in_executor(None, self._read, payload)
            outputs = await self.batcher.submit(request)
        except BadRequestError as error:
            raise _Refusal(str(error)) from None
        except OverloadedError as error:
            raise _Overload(details=str(error)) from None
        if isinstance(payload, kserve.InferRequest):
            return to_open_inference(payload, outputs, self.name)
        return await loop.run_in_executor(None, to_rest, outputs, _asks_by_rows(payload))

    def _read(self, payload: Any) -> Request:
        if isinstance(payload, kserve.InferRequest):
            return from_open_inference(payload, self.predictor.inputs, self.limits)
        return from_rest(payload, self.predictor.inputs, self.limits)


def _asks_by_rows(body: Any) -> bool:
    return "instances" in body


class _CheckedDataPlane(DataPlane):
    """Reads requests as kserve does, and says of all that cannot be read that it cannot."""

    def decode(self, body, headers, *args, **kwargs):
        try:
            decoded, attributes = super().decode(body, headers, *args, **kwargs)
            if isinstance(decoded, bytes):
                # Sent as a content type that is not JSON's, such as curl's own.
                decoded = json.loads(decoded)
        except (InferenceError, InvalidInput, LookupError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise _Refusal(f"the body is not JSON of this protocol ({reason})") from None
        return decoded, attributes


_FAULTS_OF_CLIENTS = (InvalidInput, ModelNotFound, NotImplementedError, UnsupportedProtocol)


class _OneLine(logging.Filter):
    """Takes the traceback off what is logged of a bad request."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], _FAULTS_OF_CLIENTS):
            record.msg, record.args = f"bad request: {record.exc_info[1]}", None
            record.exc_info = None
        return True


_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(name)s %(levelname)s %(message)s"}},
    "filters": {"one_line": {"()": _OneLine}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["one_line"],
        }
    },
    "loggers": {
        "kserve": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
        "kserve.trace": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}


def make_server(model: SpadeModel, *, port: int, grpc_port: int) -> kserve.ModelServer:
    """A server of a model; `server.start([model])` runs it until it is told to stop.

    Args:
        model: to serve.
        port: of REST.
        grpc_port: of gRPC; 0 for none.
    """
    kserve.logging.configure_logging(_LOGGING)
    # Of kserve, which answers with a class that FastAPI would have replaced.
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    arguments = kserve.model_server.args
    arguments.grpc_max_receive_message_length = model.limits.max_body_bytes
    # Pictures are larger than what they are made from.
    arguments.grpc_max_send_message_length = -1
    server = kserve.ModelServer(
        http_port=port,
        grpc_port=grpc_port,
        enable_grpc=bool(grpc_port),
        enable_latency_logging=False,
    )
    server.dataplane = _CheckedDataPlane(model_registry=server.registered_models)
    app = kserve.model_server.app
    app.add_middleware(BodyLimits, limits=model.limits)
    app.add_exception_handler(_Refusal, _answer_refusal)
    app.add_exception_handler(_Overload, _answer_overload)
    app.add_exception_handler(RequestValidationError, _answer_misfit)
    return server


async def _answer_refusal(_, error):
    return JSONResponse({"error": str(error)}, 400)


async def _answer_overload(_, error):
    return JSONResponse({"error": error.details}, 503, headers={"Retry-After": "1"})


async def _answer_misfit(_, error):
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors()
    ]
    # One for each of the forms that the body might have had: the first says it.
    return JSONResponse({"error": f"the body does not fit the protocol: {problems[0]}"}, 400)


def serve(
    directory: str | os.PathLike[str],
    *,
    port: int = 8080,
    grpc_port: int = 8081,
    model_name: str | None = None,
    limits: RequestLimits | None = None,
    micro_batch: int = 1,
    num_threads: int = 1,
) -> None:
    """Serves an export until it is interrupted.

    Args:
        directory: of the export, or of its versions.
        port: of REST.
        grpc_port: of gRPC; 0 for none.
        model_name: that requests name; None for the name of the folder of versions.
        limits: of a request; None for the defaults.
        micro_batch: int >= 1, rows that concurrent requests are put together to; 1 for never.
        num_threads: int >= 1, batches that are made at once.

    Raises:
        ServingError: if it cannot be loaded.
    """
    version = newest_version(Path(directory)).resolve()
    name = model_name or (version.parent if version.name.isdecimal() else version).name
    model = SpadeModel(
        name,
        version,
        limits=limits or RequestLimits(),
        micro_batch=micro_batch,
        num_threads=num_threads,
    )
    server = make_server(model, port=port, grpc_port=grpc_port)
    where = f"http://localhost:{port}/v1/models/{name}:predict"
    also = f", gRPC on port {grpc_port}" if grpc_port else ""
    print(f"serving {version} as {name}: {where}{also}", file=sys.stderr, flush=True)
    server.start([model])
