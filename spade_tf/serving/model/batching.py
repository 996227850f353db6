"""Batches of concurrent requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from spade_tf.serving.errors import BadRequestError, OverloadedError
from spade_tf.serving.requests import Request

Outputs = dict[str, np.ndarray]


class _Waiting(NamedTuple):
    request: Request
    answer: asyncio.Future[Outputs]


class MicroBatcher:
    """Runs requests on a few threads. Waiting requests that fit together share a batch.

    No request waits for others to arrive: a batch holds the requests that queued while the threads
    were busy. If a batch is refused, its requests run one by one, so that none spoils another.

    Args:
        run: function from the name of a signature and its inputs to outputs.
        max_rows: int >= 1, most rows of a batch; 1 to run every request alone.
        num_threads: int >= 1, number of batches that run at once.
        max_queue: int >= 1, most requests that wait at once.
    """

    def __init__(
        self,
        run: Callable[[str, dict[str, np.ndarray]], Outputs],
        *,
        max_rows: int,
        num_threads: int,
        max_queue: int,
    ):
        self._run = run
        self.max_rows = max_rows
        self.num_threads = num_threads
        self.max_queue = max_queue
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix="model")
        self._queue: deque[_Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        # The tasks that will check the queue again. A finished task stays in `tasks` a little
        # longer, and a request that arrives in this time would be forgotten.
        self._looking = 0

    @property
    def waiting(self) -> int:
        """Number of requests that no thread has taken yet."""
        return len(self._queue)

    def close(self) -> None:
        """Ends its threads when they have nothing left to do."""
        self._threads.shutdown(wait=False)

    async def submit(self, request: Request) -> Outputs:
        """Returns the outputs of a request.

        Raises:
            BadRequestError: if the model refuses it.
            OverloadedError: if too many requests wait.
        """
        if len(self._queue) >= self.max_queue:
            raise OverloadedError(
                f"{self.max_queue} requests are waiting, and no more can; try again later"
            )
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._looking < self.num_threads:
            self._looking += 1
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await waiting.answer

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._take_batch()
        finally:
            self._looking -= 1

    async def _take_batch(self) -> None:
        batch = self._next_batch()
        if not batch:
            return
        requests = [waiting.request for waiting in batch]
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(self._threads, self._answer, requests)
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        left: deque[_Waiting] = deque()
        rows = 0
        while self._queue:
            waiting = self._queue.popleft()
            if waiting.answer.done():
                # Its client has been cancelled.
                continue
            fits = not batch or (
                waiting.request.key == batch[0].request.key
                and rows + waiting.request.rows <= self.max_rows
            )
            if fits:
                batch.append(waiting)
                rows += waiting.request.rows
            else:
                left.append(waiting)
        self._queue = left
        return batch

    def _answer(self, requests: list[Request]) -> list[Outputs | Exception]:
        try:
            return [*self._together(requests)]
        except BadRequestError as error:
            if len(requests) == 1:
                return [error]
        except Exception as error:
            # Waiting requests must learn of any error.
            if len(requests) == 1:
                return [error]
        return [answer for request in requests for answer in self._answer([request])]

    def _together(self, requests: list[Request]) -> list[Outputs]:
        first = requests[0]
        if len(requests) == 1:
            return [self._run(first.signature, first.inputs)]
        inputs = {
            key: np.concatenate([request.inputs[key] for request in requests])
            for key in first.inputs
        }
        outputs = self._run(first.signature, inputs)
        ends = np.cumsum([request.rows for request in requests])
        return [
            {key: value[end - request.rows : end] for key, value in outputs.items()}
            for request, end in zip(requests, ends, strict=True)
        ]
