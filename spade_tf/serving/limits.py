"""Limits on requests, and a middleware that enforces the size and time limits of bodies."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class RequestLimits(NamedTuple):
    """Limits of one request.

    Attributes:
        max_body_bytes: largest size of an HTTP body or a gRPC message.
        receive_seconds: longest time in which a body must arrive.
        max_pixels: most pixels of all pictures of a request together, and of each file in it.
        max_batch: most label maps or photographs in a request.
        max_queue: most requests that wait at once; more are refused.
        max_gmac: most billions of multiply-adds of a request, if the export states its costs.
        max_memory: most bytes that this process may take, if the export states its costs; None for
            no limit.
        num_threads: number of batches that are made at once. Each needs memory.
        micro_batch: most rows in a batch of several requests.
    """

    max_body_bytes: int = 16 << 20
    receive_seconds: float = 20.0
    max_pixels: int = 1 << 22
    max_batch: int = 16
    max_queue: int = 256
    max_gmac: float = 2000.0
    max_memory: int | None = None
    num_threads: int = 1
    micro_batch: int = 1


class BodyLimits:
    """ASGI middleware: receives each body whole, within limits of size and time, or refuses it.

    The application behind it only sees complete requests. Clients that leave or send slowly cost
    it nothing.

    Args:
        app: the application.
        limits: limits of a request.
        refused: called for each refused body, with gRPC's name of the reason.
    """

    def __init__(
        self, app: Any, limits: RequestLimits, refused: Callable[[str], None] | None = None
    ):
        self.app = app
        self.limits = limits
        self._refused = refused or (lambda reason: None)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handles a connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        largest = self.limits.max_body_bytes
        sizes = [value for name, value in scope["headers"] if name == b"content-length"]
        if sizes and sizes[0].isdigit() and int(sizes[0]) > largest:
            await self._refuse_large(int(sizes[0]), receive, send, more=True)
            return
        seconds = self.limits.receive_seconds
        try:
            body, more = await asyncio.wait_for(self._body(receive), seconds)
        except TimeoutError:
            self._refused("DEADLINE_EXCEEDED")
            await _refuse(
                send, 408, f"the body did not arrive within {seconds:g} seconds; send it faster"
            )
            return
        if body is None:
            # The client has left.
            return
        if len(body) > largest:
            await self._refuse_large(len(body), receive, send, more=more)
            return
        await self.app(scope, _replay(body, receive), send)

    async def _refuse_large(self, size, receive, send, more):
        """Answers 413, then reads the rest of the body for a while and discards it.

        If a connection is closed while its client sends, it is reset, and the client never reads
        the answer.
        """
        self._refused("RESOURCE_EXHAUSTED")
        largest = self.limits.max_body_bytes
        text = f"a body of {size} bytes or more, and {largest} are taken at most"
        await _refuse(send, 413, f"{text}; send fewer pictures", more)
        if not more:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_drain(receive, 8 * largest), self.limits.receive_seconds)
        await send({"type": "http.response.body", "body": b""})

    async def _body(self, receive):
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None, False
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if not more or size > self.limits.max_body_bytes:
                return b"".join(parts), more


async def _drain(receive, most):
    size = 0
    while size < most:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            return


def _replay(body, receive):
    given = False

    async def replay():
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(send, status, text, more=False):
    content = json.dumps({"error": text}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        # The rest of the body cannot be told from a next request.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": more})
