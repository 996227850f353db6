"""Whether layers move their state in a training call.

Batch statistics and singular vectors move with every training call. Some calls repeat one that
has been counted already: rematerialisation runs a block again for its gradients, and gradient
accumulation goes through one batch in parts. They hold that state still while they do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Per thread, since `MirroredStrategy` traces each replica in a thread of its own.
_held = threading.local()


@contextmanager
def hold_state(*, statistics: bool = True, singular_vectors: bool = True) -> Iterator[None]:
    """Holds state still in all training calls that are traced, or run eagerly, within.

    Args:
        statistics: bool, whether running averages of normalisations are held.
        singular_vectors: bool, whether the vectors of spectral normalisation are held; sigma is
            then that of the last iteration.
    """
    before = statistics_held(), singular_vectors_held()
    _held.statistics = before[0] or statistics
    _held.singular_vectors = before[1] or singular_vectors
    try:
        yield
    finally:
        _held.statistics, _held.singular_vectors = before


def statistics_held() -> bool:
    """Whether running averages are held still."""
    return getattr(_held, "statistics", False)


def singular_vectors_held() -> bool:
    """Whether singular vectors are held still."""
    return getattr(_held, "singular_vectors", False)
