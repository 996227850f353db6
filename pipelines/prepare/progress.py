"""Shows how far a preparation has come."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from pipelines.prepare.journal import Journal

# Called with a split, the number of its examples done, and the number there will be.
OnProgress = Callable[[str, int, int | None], None]

_SECONDS_BETWEEN_LOOKS = 0.5


class Progress:
    """Counts the examples that are done.

    Args:
        expected: number of examples by split.
        on_progress: called when a number changes.
    """

    def __init__(self, expected: Mapping[str, int], on_progress: OnProgress) -> None:
        self._expected = expected
        self._on_progress = on_progress
        self._done: Counter[str] = Counter()

    def add(self, split: str, count: int) -> None:
        """Counts further examples of a split."""
        self._set(split, self._done[split] + count)

    def _set(self, split: str, done: int) -> None:
        if done != self._done[split]:
            self._done[split] = done
            self._on_progress(split, done, self._expected.get(split))

    @contextlib.contextmanager
    def watch(self, journal: Journal) -> Iterator[None]:
        """Counts what other processes do, by the shards that they have finished."""
        over = threading.Event()

        def look() -> None:
            done: Counter[str] = Counter()
            for report in journal.reports():
                done[report.split] += report.num_examples + len(report.skipped)
            for split, count in done.items():
                self._set(split, count)

        def keep_looking() -> None:
            while not over.wait(_SECONDS_BETWEEN_LOOKS):
                look()

        thread = threading.Thread(target=keep_looking, daemon=True)
        thread.start()
        try:
            yield
            look()
        finally:
            over.set()
            thread.join()


@contextlib.contextmanager
def progress_bars() -> Iterator[OnProgress]:
    """Gives a function that draws progress bars on standard error, one per split."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}

    def advance(split: str, done: int, total: int | None) -> None:
        if split not in bars:
            # Where there is no terminal, every refresh is a line in somebody's log, and there is
            # no cursor to move to another bar's line.
            place = {} if sys.stderr.isatty() else {"mininterval": 30, "position": 0}
            bars[split] = tqdm(desc=split, total=total, unit=" examples", **place)
        bars[split].update(done - bars[split].n)

    try:
        yield advance
    finally:
        for bar in bars.values():
            bar.close()
