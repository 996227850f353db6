"""Reads the examples of a data set, in several processes where that saves time."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pipelines.schema import ArgumentError, BadFileError
from pipelines.sources.builders.base import Example, Reader

# A process needs about two seconds to start. Small data sets are done before that pays.
_SECONDS_ALONE = 5.0
# Items that each process is given before the first of them is needed.
_AHEAD = 8


class ReadAhead:
    """Reads items in their order.

    The calling process reads the first items itself. If that has taken `seconds_alone`, others are
    started, and they read the rest. They end with the calling process, even if it is killed.

    Args:
        reader: reads an item; it is pickled.
        num_processes: int >= 1, how many processes read; 1 for the calling one alone. Others
            import the main module of the program, so it needs `if __name__ == "__main__":`.
        seconds_alone: float >= 0.
    """

    def __init__(
        self, reader: Reader, num_processes: int, seconds_alone: float = _SECONDS_ALONE
    ) -> None:
        self._reader = reader
        self._num_processes = num_processes
        self._seconds_left = seconds_alone
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def __call__(self, items: Iterable[Any]) -> Iterator[Example | BadFileError]:
        """Yields what was read of each item, or why it cannot be used.

        Raises:
            ArgumentError: if a process ended, as one does that the system kills for its memory.
        """
        rest = iter(items)
        for item in rest if self._pool is None else ():
            begun = time.monotonic()
            read = _read(self._reader, item)
            self._seconds_left -= time.monotonic() - begun
            yield read
            if self._num_processes > 1 and self._seconds_left <= 0:
                self._start()
                break
        if self._pool is None:
            return
        waiting: deque[Future[Example | BadFileError]] = deque()
        try:
            while True:
                room = self._num_processes * _AHEAD - len(waiting)
                for item in itertools.islice(rest, room):
                    waiting.append(self._pool.submit(_read_here, item))
                if not waiting:
                    return
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise ArgumentError(
                "num_processes",
                f"{self._num_processes} received, and one of these processes ended, perhaps for "
                "want of memory; give 1",
            ) from None

    def _start(self) -> None:
        # Forked processes would inherit TensorFlow's locks, but not its threads.
        self._pool = ProcessPoolExecutor(
            self._num_processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_prepare,
            initargs=(self._reader,),
        )


def num_cores() -> int:
    """The number of processor cores that this process may use."""
    # Not on every system does a process know its own.
    own = getattr(os, "sched_getaffinity", None)
    return len(own(0)) if own else os.cpu_count() or 1


def _read(reader: Reader, item: Any) -> Example | BadFileError:
    try:
        return reader(item)
    except BadFileError as bad:
        return bad


_readers: list[Reader] = []


def _prepare(reader: Reader) -> None:
    """Prepares a process that only reads."""
    _readers.append(reader)
    # Ctrl-C reaches all processes of a terminal. The calling one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _read_here(item: Any) -> Example | BadFileError:
    return _read(_readers[0], item)
