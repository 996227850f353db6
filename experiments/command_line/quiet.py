"""TensorFlow's start-up without its chatter, whenever the first import of it is."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType

from absl import logging as absl_logging


def quieten(verbosity: int) -> None:
    """Silences TensorFlow's start-up, unless the verbosity is 0 (messages) or 1 (and tracebacks).

    TensorFlow is not imported here: that takes seconds, and what is wrong with the flags or with
    files is said before.

    Args:
        verbosity: int, as of the flag.
    """
    absl_logging.set_verbosity(verbosity)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbosity >= 0 else "3")
    if verbosity < 0 and "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Silencer())
        for name in ("absl", "tensorflow"):
            logging.getLogger(name).addFilter(_NotForUsers())


class _Silencer(importlib.abc.MetaPathFinder):
    """Finds TensorFlow for an import that writes nothing."""

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        """As every finder does. Who only asks whether TensorFlow is there does not import it."""
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            self._silence(spec.loader)
        return spec

    def _silence(self, loader: importlib.abc.Loader) -> None:
        load = loader.exec_module

        def load_silently(module: ModuleType) -> None:
            sys.meta_path.remove(self)
            with _no_stderr():
                load(module)
                # This starts it.
                module.config.list_physical_devices()

        loader.exec_module = load_silently  # type: ignore[method-assign]


class _NotForUsers(logging.Filter):
    """Leaves out warnings that speak of this program's code, not of what the user gave."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message is shown."""
        text = record.getMessage()
        return "will be removed in a future version" not in text and (
            "Using custom data configuration" not in text
        )


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
