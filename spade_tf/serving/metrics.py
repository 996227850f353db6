"""The metrics of a server, for Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from spade_tf.serving.errors import ServingError

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counts of requests and errors, their latency, and the queue.

    | name | labels | |
    |---|---|---|
    | `spade_requests_total` | front, code | answered requests; code: OK or gRPC's error name |
    | `spade_request_seconds` | front | histogram: time from the whole request to its answer |
    | `spade_requests_in_progress` | | requests that are being read, waiting, or being computed |
    | `spade_queue_length` | | requests that wait for a thread of the model |
    | `spade_model_version` | | number of the served version; 0 for none |
    | `process_*` | | memory, processor time, open files |

    Args:
        queue_length: function that returns how many requests wait.
        version: function that returns the number of the served version.
    """

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, queue_length: Callable[[], int], version: Callable[[], int]):
        # A separate registry, because another server in this process has its own metrics.
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "spade_requests", "Requests answered.", ["front", "code"], registry=self._registry
        )
        self._seconds = Histogram(
            "spade_request_seconds",
            "From the whole request to its answer.",
            ["front"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._in_progress = Gauge(
            "spade_requests_in_progress", "Read, waiting, or made.", registry=self._registry
        )
        queue = Gauge("spade_queue_length", "Waiting for the model.", registry=self._registry)
        queue.set_function(queue_length)
        served = Gauge("spade_model_version", "Served; 0 for none.", registry=self._registry)
        served.set_function(version)

    @contextmanager
    def request(self, front: str) -> Iterator[None]:
        """Counts the `with` block as one request."""
        start = time.perf_counter()
        code = "INTERNAL"
        try:
            with self._in_progress.track_inprogress():
                yield
            code = "OK"
        except ServingError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            # Its client has left.
            code = "CANCELLED"
            raise
        finally:
            self._requests.labels(front, code).inc()
            self._seconds.labels(front).observe(time.perf_counter() - start)

    def refused(self, front: str, code: str) -> None:
        """Counts a request that was refused before it was read."""
        self._requests.labels(front, code).inc()

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)
