"""One training per workdir; and one that fails before its first step leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from experiments.setup.config import ConfigError
from experiments.setup.workdir import is_begun

_LOCK = ".lock"
# What a training writes before its first step is done.
_EARLY = (_LOCK, "config.json", "checkpoints", "best", "tensorboard")


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Holds a workdir for this process alone; the lock ends with the process, however it ends.

    What is within may fail before its first step: then the files that it wrote are removed, and so
    are the folders that were made for them.

    Raises:
        ConfigError: if the folder cannot be written, or another process is training there.
    """
    made = [path for path in (workdir, *workdir.parents) if not path.exists()]
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(workdir))
        except ConfigError:
            _remove_folders(made)
            raise
        before = {path.name for path in workdir.iterdir()} - {_LOCK}
        try:
            yield
        except BaseException:
            if not is_begun(workdir) and not (workdir / "losses.jsonl").exists():
                _remove_files(workdir, before)
                _remove_folders(made)
            raise


@contextlib.contextmanager
def held(folder: Path) -> Iterator[int]:
    """Holds a folder for this process alone, and leaves in it what it finds.

    Gives a file descriptor. As long as a process that inherits it lives, it holds the folder, too.

    Raises:
        ConfigError: if the folder cannot be written, or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK).open("w")
    except OSError as error:
        raise ConfigError(
            f"--workdir={folder}: cannot be written ({error.strerror}); choose another one"
        ) from error
    with file:
        _lock(file, folder)
        yield file.fileno()


def _lock(file: TextIO, workdir: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError(
            f"--workdir={workdir}: another process is training there; wait for it to end, or "
            "choose another one"
        ) from error


def _remove_files(workdir: Path, before: set[str]) -> None:
    for name in _EARLY:
        path = workdir / name
        if name in before:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _remove_folders(made: list[Path]) -> None:
    for path in made:
        # Innermost first; one that holds something stays.
        with contextlib.suppress(OSError):
            path.rmdir()
