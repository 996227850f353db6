"""A client for pictures from model servers that speak TF Serving's gRPC or REST."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol

import numpy as np

from spade_tf.serving.errors import ServingError
from spade_tf.serving.requirements import require

Arrays = dict[str, np.ndarray]


class TransportError(Exception):
    """A call that failed.

    Args:
        message: message of the server or the network.
        retryable: whether the same call may succeed later.
    """

    def __init__(self, message: str, retryable: bool):
        super().__init__(" ".join(message.split())[:500])
        self.retryable = retryable


class Transport(Protocol):
    """One call to a server, over one protocol."""

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], seconds: float) -> Arrays:
        """Returns the outputs of a signature, or raises a TransportError, within `seconds`."""

    def close(self) -> None:
        """Ends connections."""


class Client:
    """Predictions of a remote model, with a deadline, retries and batches.

    A call is repeated if its failure may be temporary (unavailable, out of resources, a broken
    connection). The pause before is `backoff_seconds`, doubled each time, times a random factor in
    [0.5, 1]. A picture depends only on its request, so asking twice does no harm. Other failures
    are raised at once. The deadline holds for all attempts of a call together.

    Args:
        transport: a `GrpcTransport` or a `RestTransport`; see `connect`.
        deadline_seconds: float > 0, time for a call with all its attempts.
        max_attempts: int >= 1, attempts per call.
        backoff_seconds: float > 0, pause before the second attempt.
        max_rows: int >= 1, most rows of one call; larger batches are split.
        max_calls: int >= 1, most calls at once for a split batch.
        sleep: function that pauses.
        clock: function that returns the time in seconds.

    Example:
        >>> from spade_tf.serving import connect
        >>> client = connect("grpc://localhost:8081", "landscapes")  # doctest: +SKIP
        >>> client.predict("serving_default", {"label": label})["image"].shape  # doctest: +SKIP
        (1, 128, 128, 3)
    """

    def __init__(
        self,
        transport: Transport,
        *,
        deadline_seconds: float = 60.0,
        max_attempts: int = 4,
        backoff_seconds: float = 0.2,
        max_rows: int = 8,
        max_calls: int = 2,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.transport = transport
        self.deadline_seconds = deadline_seconds
        self.max_attempts = max_attempts
        self.backoff_seconds = backoff_seconds
        self.max_rows = max_rows
        self._sleep = sleep
        self._clock = clock
        self._threads = ThreadPoolExecutor(max_calls, thread_name_prefix="client")

    def __enter__(self) -> Client:
        """Returns itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes it."""
        self.close()

    def close(self) -> None:
        """Ends connections and threads."""
        self._threads.shutdown()
        self.transport.close()

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Returns the outputs of a signature, for a batch of any size.

        Args:
            signature: name of the signature.
            inputs: arrays by key, all with the same number of rows.

        Returns:
            Arrays by key, with the same number of rows.

        Raises:
            ServingError: if the server refuses, or cannot be reached in time.
        """
        rows = len(next(iter(inputs.values())))
        if rows <= self.max_rows:
            return self._call(signature, inputs)
        parts = [
            {key: value[start : start + self.max_rows] for key, value in inputs.items()}
            for start in range(0, rows, self.max_rows)
        ]
        made = list(self._threads.map(lambda part: self._call(signature, part), parts))
        return {key: np.concatenate([part[key] for part in made]) for key in made[0]}

    def _call(self, signature: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
        end = self._clock() + self.deadline_seconds
        for attempt in range(1, self.max_attempts + 1):
            left = end - self._clock()
            try:
                return self.transport.predict(signature, inputs, left)
            except TransportError as error:
                pause = self.backoff_seconds * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
                times = f" ({attempt} attempts)" if attempt > 1 else ""
                if not error.retryable or attempt == self.max_attempts:
                    raise ServingError(f"{self.transport}: {error}{times}") from error
                if self._clock() + pause >= end:
                    raise ServingError(
                        f"{self.transport}: {error}{times}; no time is left of the deadline of "
                        f"{self.deadline_seconds:g} seconds"
                    ) from error
                self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def describe(self, name: str) -> str:
        """The text of an asset of the model, such as `config.json`."""
        outputs = self.predict("describe", {"name": np.array([name.encode()], object)})
        text = outputs["text"][0]
        return text.decode() if isinstance(text, bytes) else str(text)


def connect(endpoint: str, model_name: str, **options) -> Client:
    """Makes a client of a server.

    Args:
        endpoint: `grpc://HOST:PORT` (TF Serving's gRPC), or `http://HOST:PORT` or `https://...`
            (its REST interface, version 1). `run.py serve` speaks both.
        model_name: the server's name for the model.
        options: options of `Client`.

    Raises:
        ServingError: if the endpoint is none of these.

    Example:
        >>> from spade_tf.serving import connect
        >>> client = connect("http://localhost:8080", "landscapes")  # doctest: +SKIP
    """
    scheme, separator, address = endpoint.partition("://")
    transport: Transport
    if separator and address and scheme == "grpc":
        require("tensorflow_serving.apis.predict_pb2", "a grpc:// endpoint")
        from spade_tf.serving.client.grpc_transport import GrpcTransport

        transport = GrpcTransport(address, model_name)
    elif separator and address and scheme in ("http", "https"):
        require("httpx", "an http:// endpoint")
        from spade_tf.serving.client.rest_transport import RestTransport

        transport = RestTransport(endpoint, model_name)
    else:
        raise ServingError(
            f"--endpoint={endpoint}: give grpc://HOST:PORT, http://HOST:PORT or https://HOST:PORT"
        )
    return Client(transport, **options)
