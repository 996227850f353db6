"""Answers a request, in the same way for every protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np

from spade_tf.serving.bodies import BodyReader
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.metrics import Metrics
from spade_tf.serving.model.versions import ModelVersions
from spade_tf.serving.model.work import check_work
from spade_tf.serving.requests import Request, Specs

Asked = TypeVar("Asked")


class Target(NamedTuple):
    """The model that a request is for.

    Attributes:
        name: name of the model.
        version: number of its version, or None for the newest.
        label: version label instead of a number; empty for none.
    """

    name: str
    version: int | None = None
    label: str = ""


class Answer(NamedTuple):
    """The model's outputs.

    Attributes:
        outputs: arrays by key.
        version: number of the version that made them.
    """

    outputs: Mapping[str, np.ndarray]
    version: int


class Dispatch:
    """Finds the model, reads the request, runs the model, and counts requests.

    Args:
        versions: versions of the model.
        bodies: reader of requests.
        limits: limits of a request.
        metrics: metrics to update.
    """

    def __init__(
        self,
        versions: ModelVersions,
        bodies: BodyReader,
        limits: RequestLimits,
        metrics: Metrics,
    ):
        self.versions = versions
        self.bodies = bodies
        self.limits = limits
        self.metrics = metrics

    async def predict(
        self,
        front: str,
        target: Target,
        read: Callable[[Specs], Awaitable[Asked]],
        request_of: Callable[[Asked], Request],
    ) -> tuple[Asked, Answer]:
        """Answers a request.

        Args:
            front: name of the protocol, for the metrics.
            target: the model.
            read: function that reads the request, given the inputs of the model's signatures.
            request_of: function from the read request to the request to the model.

        Returns:
            The read request, and the model's answer.

        Raises:
            ServingError: if it cannot be answered.
        """
        with self.metrics.request(front), self.versions.find(*target) as servable:
            asked = await read(servable.predictor.inputs)
            request = request_of(asked)
            check_work(request, servable.predictor.work, self.limits)
            outputs = await servable.batcher.submit(request)
        return asked, Answer(outputs, servable.number)
