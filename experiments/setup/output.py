"""Folders and files to write: whether they can be, before there is something to lose."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from experiments.setup.config import ConfigError


def check_writable(folder: Path, flag: str = "output_dir") -> None:
    """Raises a ConfigError that names `flag` if this can be no folder that is written to."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"--{flag}={folder}: {there} is a file; give a folder")
    try:
        # What permissions allow, a file system may not.
        with tempfile.TemporaryDirectory(dir=there):
            pass
    except OSError:
        raise ConfigError(
            f"--{flag}={folder}: {there} cannot be written to; give another"
        ) from None


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text)
    os.replace(temporary, path)


def user_cache_dir() -> Path:
    """The folder of this project in the user's cache, which several runs share."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "spade-tf"
