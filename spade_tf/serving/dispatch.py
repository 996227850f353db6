"""From a request to its answer, the same for every protocol."""

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
    """Which model a request is for.

    Attributes:
        name: of the model.
        version: its number, or None for the newest.
        label: in place of a number; empty for none.
    """

    name: str
    version: int | None = None
    label: str = ""


class Answer(NamedTuple):
    """What the model made.

    Attributes:
        outputs: arrays by key.
        version: the number of the version that made them.
    """

    outputs: Mapping[str, np.ndarray]
    version: int


class Dispatch:
    """Finds the model, has the request read, asks the model, and counts.

    Args:
        versions: of the model.
        bodies: what reads requests.
        limits: of a request.
        metrics: that are kept.
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
            front: the protocol that it came by, for the metrics.
            target: the model.
            read: reads the request, given the inputs of the model's signatures.
            request_of: from what was read to what is asked of the model.

        Returns:
            What was read, and what the model made of it.

        Raises:
            ServingError: whatever it cannot be answered for.
        """
        with self.metrics.request(front), self.versions.find(*target) as servable:
            asked = await read(servable.predictor.inputs)
            request = request_of(asked)
            check_work(request, servable.predictor.work, self.limits)
            outputs = await servable.batcher.submit(request)
        return asked, Answer(outputs, servable.number)
