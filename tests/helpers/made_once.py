"""What one of several test processes makes, for all of them."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def made_once(factory: Any, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that holds what `make` writes into it; whoever wants it first makes it.

    Args:
        factory: pytest's `tmp_path_factory`.
        name: of the folder, one per thing.
        make: called with the folder.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The folder of a worker is in that of the run.
        root = root.parent
    folder = root / "made_once" / name
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder.with_suffix(".done")
        if not done.exists():
            make(folder)
            done.touch()
    return folder
