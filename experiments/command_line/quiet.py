"""TensorFlow's start-up without its chatter, whenever the first import of it is."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType

from absl import logging


def quieten(verbosity: int) -> None:
    """Silences TensorFlow's start-up, unless the verbosity is 0 (messages) or 1 (and tracebacks).

    TensorFlow is not imported here: that takes seconds, and what is wrong with the flags or with
    files is said before.

    Args:
        verbosity: int, as of the flag.
    """
    logging.set_verbosity(verbosity)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbosity >= 0 else "3")
    if verbosity < 0 and "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Silencer())


class _Silencer(importlib.abc.MetaPathFinder):
    """Finds TensorFlow once, for an import that writes nothing."""

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        """As every finder does."""
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            _silence(spec.loader)
        return spec


def _silence(loader: importlib.abc.Loader) -> None:
    load = loader.exec_module

    def load_silently(module: ModuleType) -> None:
        with _no_stderr():
            load(module)
            # This starts it.
            module.config.list_physical_devices()

    loader.exec_module = load_silently  # type: ignore[method-assign]


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    # Some of it is written, whatever the log level, before there is a logger to ask.
    with tempfile.TemporaryFile() as chatter:
        stderr = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
