"""Reads bodies of requests without blocking the server, whatever they hold.

Parsing holds Python's global lock: while a body of many small values is read, no other request and
no health check is answered. So a body is first measured by counting bytes, and then read

- in a thread, if it holds few values, however long its texts are;
- in another process, if it holds many;
- not at all, if it holds more lists than any valid request.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import signal
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import orjson

from spade_tf.serving.errors import BadRequestError, MediaTypeError, TooLargeError, UnavailableError

Result = TypeVar("Result")

# This many values are read in a few milliseconds.
_FEW_VALUES = 20_000
# Most lists and objects in a body. A label map has one list per row of pixels. Each list takes many
# times the memory of its two brackets.
_MOST_LISTS = 1 << 20
_PIECE = 1 << 20

# How bodies begin that are compressed; no JSON begins so.
_COMPRESSED = {b"\x1f\x8b": "gzip", **dict.fromkeys((b"x\x01", b"x\x9c", b"x\xda"), "deflate")}
# What several languages write for numbers that JSON does not have.
_NO_NUMBER = re.compile(r"[+-]?(?:nan|inf(?:inity)?)\b", re.IGNORECASE)
_KEYS = re.compile(r'"([^"\\]*)"\s*:')
_NAMES = re.compile(r'"name"\s*:\s*"([^"\\]*)"')


class BodyReader:
    """Threads, and one process, that read bodies.

    Args:
        num_threads: int >= 1, bodies that are read at once.
    """

    def __init__(self, num_threads: int = 4):
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix="reader")
        self._process: ProcessPoolExecutor | None = None

    async def in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Calls a function in a thread. It must hold Python's lock for milliseconds at most."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def read(self, function: Callable[..., Result], json: bytes, *arguments: Any) -> Result:
        """Calls `function(json, *arguments)` in a thread or in the process.

        Args:
            function: a function of a module that needs no TensorFlow. Its arguments and its result
                can be pickled.
            json: the text that it parses.
            arguments: its other arguments.

        Raises:
            BadRequestError: if the text holds too many lists. The function's errors are raised too.
            UnavailableError: if the process ended, for example because memory ran out.
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
        """Starts the process now, so that the first large body does not wait for it."""
        self._process = _start()
        self._process.submit(int)

    def close(self) -> None:
        """Ends threads and process."""
        self._threads.shutdown(wait=False)
        if self._process is not None:
            # Python's own exit waits for it as well, and would race with it: a bad file descriptor.
            self._process.shutdown(wait=True, cancel_futures=True)


def _start() -> ProcessPoolExecutor:
    # A fork would copy the locks of TensorFlow's threads, some of them held.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=_leave_interrupts)


def _leave_interrupts() -> None:
    """Ignores Ctrl-C in this process: the server handles it and then ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def count_values(json: bytes) -> int:
    """Counts roughly how many values a JSON text holds.

    Raises:
        BadRequestError: if it holds more lists and objects than any valid request.
    """
    lists = commas = 0
    for start in range(0, len(json), _PIECE):
        # Other threads run between pieces.
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
    """Parses a JSON text.

    Raises:
        BadRequestError: if it is not JSON, or nests more than 1024 lists.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(_not_json(text, error)) from None


def _not_json(text: bytes, error: orjson.JSONDecodeError) -> str:
    for start, encoding in _COMPRESSED.items():
        if text.startswith(start):
            header = f"Content-Encoding: {encoding}"
            return f"the body is not JSON, but compressed; send the header {header}"
    # The parser stops at the sign of some, or a letter later.
    found = (_NO_NUMBER.match(error.doc, max(error.pos - back, 0)) for back in (1, 0))
    number = next((match for match in found if match), None)
    keys = _KEYS.findall(error.doc, 0, error.pos)
    if number is None or not keys:
        return f"the body is not JSON ({str(error)[:200]})"
    key = keys[-1]
    if key == "data":
        # In the open inference protocol, the input's name stands beside its data.
        names = _NAMES.findall(error.doc, 0, error.pos)
        key = names[-1] if names else key
    return f"{key[:80]}: {number[0]} received, which JSON does not have; give finite numbers"


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Decompresses a body.

    Args:
        body: the body as received.
        encoding: header `Content-Encoding`: `gzip`, `deflate`, `identity` or empty.
        max_bytes: largest size after decompression.

    Raises:
        MediaTypeError: if it has another encoding.
        BadRequestError: if it is damaged.
        TooLargeError: if it is larger. Decompression stops at the limit.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in ("gzip", "x-gzip", "deflate"):
        raise MediaTypeError(
            f"Content-Encoding: {encoding[:40]!r} received; send gzip, deflate or identity"
        )
    # The first bytes tell which header it has.
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
