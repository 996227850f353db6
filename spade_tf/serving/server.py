"""The embedded server: serves an export by REST and gRPC, on one event loop.

uvicorn and grpc.aio transport bytes. Starlette and the protocols' own stubs route requests. This
module starts them, loads the model, and stops everything in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging.config
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from spade_tf.serving.bodies import BodyReader
from spade_tf.serving.dispatch import Dispatch
from spade_tf.serving.fronts.painter import Painter
from spade_tf.serving.fronts.rest_server import make_app
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.listening import bracketed, listening_socket
from spade_tf.serving.metrics import Metrics
from spade_tf.serving.model.batching import MicroBatcher
from spade_tf.serving.model.folders import newest_version
from spade_tf.serving.model.versions import ModelVersions, version_number

_MOST_HEADER_BYTES = 1 << 16
_MOST_SMALL_PARTS = 4096
_SECONDS_TO_END = 20

_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(name)s %(levelname)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "spade_tf.serving": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        # TensorFlow warns that sessions are deprecated; TF Serving loads models into them too.
        "tensorflow": {"level": "ERROR"},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}


class _BoundedHttp(HttpToolsProtocol):
    """HTTP that refuses headers beyond 64 KiB, and thousands of chunks of a few bytes.

    Each part costs a Python call, and all parts that have arrived are handled at once.
    """

    def on_message_begin(self) -> None:
        self._header_bytes = self._body_bytes = self._body_parts = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _MOST_HEADER_BYTES:
            # The parser passes this error on. uvicorn answers 400 and closes the connection.
            raise ValueError("the headers are too large")
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._body_parts += 1
        self._body_bytes += len(body)
        if self._body_parts > _MOST_SMALL_PARTS and self._body_bytes < 64 * self._body_parts:
            raise ValueError("the chunks are too small")
        super().on_body(body)


def serve(
    directory: str | os.PathLike[str],
    *,
    port: int = 8080,
    grpc_port: int = 8081,
    model_name: str | None = None,
    limits: RequestLimits | None = None,
    poll_seconds: float = 1.0,
    version_labels: Sequence[str] = (),
    host: str = "127.0.0.1",
    painter: Painter | None = None,
) -> None:
    """Serves an export until it is interrupted.

    Args:
        directory: folder of the export, or of its versions.
        port: REST port.
        grpc_port: gRPC port; 0 for none.
        model_name: name of the model in requests; None for the name of the folder of versions.
        limits: limits of a request, and how many are made together; None for the defaults.
        poll_seconds: float > 0, time between checks for a new version; 0 to never check.
        version_labels: labels that stand for the served version.
        host: address to listen on: this machine's own, "0.0.0.0" for all of IPv4, or "::" for all.
        painter: the page at `/`; None for none.

    Raises:
        ServingError: if it cannot be loaded.

    Example:
        >>> from spade_tf.serving import serve
        >>> serve("saved_models/landscapes", port=8080, grpc_port=8081)  # doctest: +SKIP
    """
    version = newest_version(Path(directory)).resolve()
    numbered = version.name.isdecimal()
    name = model_name or (version.parent if numbered else version).name
    limits = limits or RequestLimits()
    logging.config.dictConfig(_LOGGING)
    versions = ModelVersions(
        directory,
        name,
        lambda predictor: MicroBatcher(
            predictor.run,
            max_rows=limits.micro_batch,
            num_threads=limits.num_threads,
            max_queue=limits.max_queue,
        ),
        tuple(version_labels),
        drafts=painter is not None,
    )
    metrics = Metrics(lambda: versions.queue_length, lambda: versions.number)
    dispatch = Dispatch(versions, BodyReader(), limits, metrics)
    where = f"http://{_shown(host)}:{port}/v1/models/{name}:predict"
    also = f", gRPC on port {grpc_port}" if grpc_port else ""
    print(
        f"loading version {version_number(version)} of {name}: {where}{also}",
        file=sys.stderr,
        flush=True,
    )
    asyncio.run(_Running(dispatch, host, port, grpc_port, poll_seconds, painter).run())


class _Running:
    def __init__(
        self,
        dispatch: Dispatch,
        host: str,
        port: int,
        grpc_port: int,
        poll_seconds: float,
        painter: Painter | None,
    ):
        self._dispatch = dispatch
        self._host = host
        self._painter = painter
        self._versions = dispatch.versions
        self._port = port
        self._grpc_port = grpc_port
        self._poll_seconds = poll_seconds

    async def run(self) -> None:
        # uvicorn stops on these signals, then raises them again for the earlier handlers.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        config = uvicorn.Config(
            make_app(self._dispatch, self._painter),
            http=_BoundedHttp,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=65,
            timeout_graceful_shutdown=_SECONDS_TO_END,
        )
        rest = uvicorn.Server(config)
        grpc_server = None
        with listening_socket(self._host, self._port) as listener:
            try:
                if self._grpc_port:
                    from spade_tf.serving.fronts.grpc_server import GrpcServer

                    grpc_server = GrpcServer(self._dispatch, self._grpc_port, bracketed(self._host))
                    await grpc_server.start()
                answering = asyncio.create_task(rest.serve(sockets=[listener]))
                keeping = asyncio.create_task(self._keep_loaded(grpc_server))
                both = (answering, keeping)
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                rest.should_exit = True
                keeping.cancel()
                await answering
                with contextlib.suppress(asyncio.CancelledError):
                    # Ends only by an error, or on request.
                    await keeping
            finally:
                await self._end(grpc_server)

    async def _keep_loaded(self, grpc_server) -> None:
        await self._versions.load()
        self._dispatch.bodies.start()
        if grpc_server is not None:
            await grpc_server.set_ready(True)
        print(f"ready: version {self._versions.number} answers", file=sys.stderr, flush=True)
        if self._painter is not None:
            page = f"http://{_shown(self._host)}:{self._port}/"
            print(f"paint at {page}", file=sys.stderr, flush=True)
        if self._poll_seconds:
            await self._versions.watch(self._poll_seconds)
        await asyncio.Event().wait()

    async def _end(self, grpc_server) -> None:
        if grpc_server is not None:
            await grpc_server.stop(_SECONDS_TO_END)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._versions.close(), _SECONDS_TO_END)
        self._dispatch.bodies.close()


def _shown(host: str) -> str:
    """A name by which this machine reaches a server that listens on an address."""
    return "127.0.0.1" if host in ("0.0.0.0", "::") else bracketed(host)
