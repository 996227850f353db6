"""Networks of which only names and shapes of weights are wanted."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

# Keras has no public way to forget these weights alone: `keras.utils.clear_session` also forgets
# every operation and graph that is ready to run, and collects the garbage of the whole process.
# Were this one gone, the tests that use it would fail.
from keras.src.backend.common import global_state


@contextmanager
def shapes_alone() -> Iterator[None]:
    """Weights have no values, so that networks take no time to make, nor memory."""
    with keras.StatelessScope(initialize_variables=False):
        yield
    # Keras would give them values after the next symbolic call.
    global_state.set_global_attribute("uninitialized_variables", [])
