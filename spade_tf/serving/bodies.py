"""Reads bodies of requests without holding up the server, whatever is in them.

Parsing holds Python's global lock: while one body of many small values is read, no other request,
and no health check, is answered. So a body is measured first, by counting bytes, and then read

- in a thread, if it holds few values, however long its texts are;
- in another process, if it holds many;
- not at all, if it holds more lists than any request has.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import orjson

from spade_tf.serving.errors import BadRequestError, MediaTypeError, TooLargeError, UnavailableError

Result = TypeVar("Result")

# Values that are read in a few milliseconds.
_FEW_VALUES = 20_000
# Lists and objects of a body: a label map has one for each of its rows of pixels. Each takes many
# times the memory of its two brackets.
_MOST_LISTS = 1 << 20
_PIECE = 1 << 20


class BodyReader:
    """Threads, and one process, that read bodies.

    Args:
        num_threads: int >= 1, bodies that are read at once.
    """

    def __init__(self, num_threads: int = 4):
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix="reader")
        self._process: ProcessPoolExecutor | None = None

    async def in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """What a function returns that holds Python's lock for milliseconds at most."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def read(self, function: Callable[..., Result], json: bytes, *arguments: Any) -> Result:
        """What `function(json, *arguments)` returns, called in a thread or in the process.

        Args:
            function: of a module that needs no TensorFlow; its arguments and its result can be
                pickled.
            json: what it parses.
            arguments: what else it is given.

        Raises:
            BadRequestError: if there are too many lists in it, and whatever the function raises.
            UnavailableError: if the process ended, for lack of memory, say.
        """
        if await self.in_thread(count_values, json) <= _FEW_VALUES:
            return await self.in_thread(function, json, *arguments)
        if self._process is None:
            self._process = _start()
        process = self._process
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(process, function, json, *arguments)
        except BrokenProcessPool:
            if self._process is process:
                self._process = None
            raise UnavailableError(
                "the process that reads large bodies ended; send files in place of arrays, or "
                "try again"
            ) from None

    def start(self) -> None:
        """Starts the process, so that the first large body does not wait for it."""
        self._process = _start()
        self._process.submit(int)

    def close(self) -> None:
        """Ends threads and process."""
        self._threads.shutdown(wait=False)
        if self._process is not None:
            self._process.shutdown(wait=False, cancel_futures=True)


def _start() -> ProcessPoolExecutor:
    # A fork would copy the locks of TensorFlow's threads, some of them held.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=_leave_interrupts)


def _leave_interrupts() -> None:
    """Ctrl-C is for the server, which then ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def count_values(json: bytes) -> int:
    """About how many values a JSON text holds.

    Raises:
        BadRequestError: if it holds more lists and objects than any request has.
    """
    lists = commas = 0
    for start in range(0, len(json), _PIECE):
        # Between pieces, others run.
        part = (start, start + _PIECE)
        lists += json.count(b"[", *part) + json.count(b"{", *part)
        commas += json.count(b",", *part)
    if lists > _MOST_LISTS:
        raise BadRequestError(
            f"the body holds {lists} lists and objects, and {_MOST_LISTS} are read at most; send "
            "fewer pictures, or files in place of arrays"
        )
    return lists + commas


def parse_json(text: bytes) -> Any:
    """What a JSON text says.

    Raises:
        BadRequestError: if it is none, or nests more than 1024 lists.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON ({str(error)[:200]})") from None


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """A body as it was before its sender compressed it.

    Args:
        body: as it arrived.
        encoding: header `Content-Encoding`: `gzip`, `deflate`, `identity` or empty.
        max_bytes: it may be at most.

    Raises:
        MediaTypeError: if it has another encoding.
        BadRequestError: if it is damaged.
        TooLargeError: if it is larger; no more than that is decompressed.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in ("gzip", "x-gzip", "deflate"):
        raise MediaTypeError(
            f"Content-Encoding: {encoding[:40]!r} received; send gzip, deflate or identity"
        )
    # Either header is told from its first bytes.
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        unpacked = unpacker.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise BadRequestError(f"the body is not {name} ({error}); send it again") from None
    if len(unpacked) > max_bytes:
        raise TooLargeError(
            f"a body of more than {max_bytes} bytes once unpacked, and that many are taken at "
            "most; send fewer pictures"
        )
    if not unpacker.eof or unpacker.unused_data:
        raise BadRequestError(f"the body is {name} that is cut off, or goes on; send it again")
    return unpacked
