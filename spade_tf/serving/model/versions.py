"""The versions of a model. The newest is served; a newer one replaces it when it appears."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from spade_tf.serving.errors import MissingError, ServingError, UnavailableError
from spade_tf.serving.model.batching import MicroBatcher
from spade_tf.serving.model.folders import newest_version, numbered_versions
from spade_tf.serving.model.predictor import Predictor

# Number of versions that the status lists.
_MOST_STATUSES = 16

# TF Serving's words for states in those of the open inference protocol.
_OPEN_STATES = {
    "LOADING": "LOADING",
    "AVAILABLE": "READY",
    "UNLOADING": "UNLOADING",
    "END": "UNAVAILABLE",
}

_log = logging.getLogger("spade_tf.serving")


class Status(NamedTuple):
    """The state of a version, in TF Serving's terms.

    Attributes:
        version: number of the version.
        state: LOADING, AVAILABLE, UNLOADING or END.
        error: why it could not be loaded, or empty.
    """

    version: int
    state: str
    error: str = ""


class Servable:
    """A version that answers requests.

    Args:
        number: number of the version.
        predictor: the predictor that makes pictures.
        batcher: the batcher that calls the predictor.
    """

    def __init__(self, number: int, predictor: Predictor, batcher: MicroBatcher):
        self.number = number
        self.predictor = predictor
        self.batcher = batcher
        self._held = 0
        self._free = asyncio.Event()
        self._free.set()

    def __enter__(self) -> Servable:
        """Returns itself. It is not closed before the `with` block ends."""
        self._held += 1
        self._free.clear()
        return self

    def __exit__(self, *_: Any) -> None:
        """Releases it."""
        self._held -= 1
        if not self._held:
            self._free.set()

    async def close(self) -> None:
        """Waits for its remaining requests, then frees its memory."""
        await self._free.wait()
        self.batcher.close()
        self.predictor.close()


class ModelVersions:
    """Loads the newest version of a model, and later each newer one while the old one still serves.

    This is TF Serving's default policy. If a version cannot be loaded, this is reported and the old
    one stays. It is tried again when its files have changed, for example when a copy is complete.

    Args:
        directory: folder of the export, or of its versions.
        name: name of the model in requests.
        make_batcher: function from a predictor to its batcher.
        labels: labels that stand for the served version.
        drafts: whether pictures of somebody who draws are asked for, too.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        name: str,
        make_batcher: Callable[[Predictor], MicroBatcher],
        labels: tuple[str, ...] = (),
        drafts: bool = False,
    ):
        self.directory = Path(directory)
        self.name = name
        self.labels = labels
        self._make_batcher = make_batcher
        self._drafts = drafts
        self._statuses: dict[int, Status] = {}
        self._servable: Servable | None = None
        self._failed: tuple[Path, Any] | None = None
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether a model answers."""
        return self._servable is not None

    @property
    def number(self) -> int:
        """Number of the served version; 0 for none."""
        return 0 if self._servable is None else self._servable.number

    @property
    def queue_length(self) -> int:
        """Number of requests that wait for the model."""
        return 0 if self._servable is None else self._servable.batcher.waiting

    def find(self, name: str, version: int | None = None, label: str = "") -> Servable:
        """Finds the version that answers a request.

        Args:
            name: name of the model.
            version: number of the version; None for the newest.
            label: version label instead of a number; empty for none.

        Raises:
            MissingError: if it is not served.
            UnavailableError: if it is not loaded yet.
        """
        if name != self.name:
            raise MissingError(
                f"Servable not found for request: {name[:80]!r} is not served; the model is "
                f"{self.name}"
            )
        servable = self._servable
        if servable is None:
            raise UnavailableError(f"{self.name} is not loaded yet; try again in some seconds")
        if label and label not in self.labels:
            known = ", ".join(self.labels) or "none"
            raise MissingError(
                f"Servable not found for request: {self.name} has no version labelled "
                f"{label[:80]!r}; labels: {known}"
            )
        if version is not None and version != servable.number:
            raise MissingError(
                f"Servable not found for request: version {version} of {self.name} is not served; "
                f"version {servable.number} is"
            )
        return servable

    def statuses(self, name: str, version: int | None = None, label: str = "") -> list[Status]:
        """The states of versions, the newest first; arguments as in `find`.

        Raises:
            MissingError: if no such version is known.
        """
        if label:
            version = self.find(name, label=label).number
        found = [
            status
            for number, status in sorted(self._statuses.items(), reverse=True)
            if name == self.name and version in (None, number)
        ]
        if not found:
            which = "" if version is None else f" {version}"
            raise MissingError(f"Could not find any versions of model {name[:80]}{which}")
        return found

    def index(self, ready: bool = False) -> list[dict[str, str]]:
        """The index of the open inference protocol: name, version, state and reason of versions.

        Args:
            ready: whether only those are listed that answer.
        """
        found = [each for _, each in sorted(self._statuses.items(), reverse=True)]
        return [
            {
                "name": self.name,
                "version": str(each.version),
                "state": _OPEN_STATES[each.state],
                "reason": each.error,
            }
            for each in found
            if each.state == "AVAILABLE" or not ready
        ]

    async def load(self) -> None:
        """Loads the newest version if it is not served yet.

        Raises:
            ServingError: if it cannot be loaded; the served version stays.
        """
        path = newest_version(self.directory)
        number = version_number(path)
        old = self._servable
        if old is not None and old.number == number:
            return
        fingerprint = _fingerprint(path)
        if self._failed == (path, fingerprint):
            return
        self._statuses[number] = Status(number, "LOADING")
        for forgotten in sorted(self._statuses)[:-_MOST_STATUSES]:
            if self._statuses[forgotten].state == "END":
                del self._statuses[forgotten]
        try:
            new = await asyncio.to_thread(self._loaded, path)
        except ServingError as error:
            self._failed = (path, fingerprint)
            self._statuses[number] = Status(number, "END", str(error))
            raise
        self._failed = None
        self._servable = Servable(number, *new)
        self._statuses[number] = Status(number, "AVAILABLE")
        _log.info("%s: version %d is served", self.name, number)
        if old is not None:
            self._statuses[old.number] = Status(old.number, "UNLOADING")
            task = asyncio.create_task(self._drain(old))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)

    def _loaded(self, path: Path) -> tuple[Predictor, MicroBatcher]:
        predictor = Predictor(path, self._drafts)
        try:
            predictor.warm_up()
        except ServingError as error:
            predictor.close()
            raise ServingError(f"--model={path}: its warm-up was refused ({error})") from error
        return predictor, self._make_batcher(predictor)

    async def _drain(self, old: Servable) -> None:
        await old.close()
        if self._statuses[old.number].state == "UNLOADING":
            self._statuses[old.number] = Status(old.number, "END")

    async def watch(self, seconds: float) -> None:
        """Checks for other versions at regular intervals, forever."""
        while True:
            await asyncio.sleep(seconds)
            if not await asyncio.to_thread(numbered_versions, self.directory):
                # There is only one version, or none: the served version stays.
                continue
            try:
                await self.load()
            except ServingError as error:
                _log.error("%s: %s; the version that is served stays", self.name, error)

    async def close(self) -> None:
        """Releases the model when its requests are answered."""
        servable, self._servable = self._servable, None
        if servable is not None:
            await servable.close()


def version_number(path: Path) -> int:
    """The number of a version: its folder's name, or 1 if that is not a number."""
    name = path.resolve().name
    return int(name) if name.isdecimal() else 1


def _fingerprint(path: Path) -> Any:
    """A value that changes when the files of a version change."""
    files = sorted(each for each in path.rglob("*") if each.is_file())
    return [(str(each), each.stat().st_size, each.stat().st_mtime_ns) for each in files]
