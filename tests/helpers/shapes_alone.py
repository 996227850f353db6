"""Networks of which only names and shapes of weights are wanted."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def shapes_alone() -> Iterator[None]:
    """Weights have no values, so that networks take no time to make, nor memory."""
    with keras.StatelessScope(initialize_variables=False):
        yield
    keras.utils.clear_session()
