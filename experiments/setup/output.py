"""Folders and files to write: whether they can be, before there is something to lose."""

from __future__ import annotations

import os
from pathlib import Path

from experiments.setup.config import ConfigError


def check_writable(output_dir: Path) -> None:
    """Raises a ConfigError if `--output_dir` can be no folder that is written to."""
    there = next(path for path in (output_dir, *output_dir.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"--output_dir={output_dir}: {there} is a file; give a folder")
    if not os.access(there, os.W_OK):
        raise ConfigError(f"--output_dir={output_dir}: {there} cannot be written to; give another")


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text)
    os.replace(temporary, path)


def user_cache_dir() -> Path:
    """The folder of this project in the user's cache, which several runs share."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "spade-tf"
