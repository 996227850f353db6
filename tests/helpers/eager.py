"""Functions without their graphs."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf


@contextmanager
def eager() -> Iterator[None]:
    """Runs functions operation by operation: one call takes less time than to trace its graph."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
