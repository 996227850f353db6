"""The name of the program, for help and error messages; and commands in other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def program() -> str:
    """The text that users type before a command: `spade-tf`, or `python run.py` in a checkout."""
    if Path(sys.argv[0]).stem == "spade-tf" or not (ROOT / "run.py").is_file():
        return "spade-tf"
    return "python run.py"


def start_command(
    arguments: Sequence[str], env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen:
    """Starts a command in another process, in a session of its own.

    Signals from the terminal, such as Ctrl-C, reach it only if this process passes them on.

    Args:
        arguments: the command and its flags.
        env: environment variables to add.
        **options: of `subprocess.Popen`.
    """
    # -P makes sure that it runs this package, whatever modules are in the working directory.
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "experiments.command_line", *arguments],
        env={**os.environ, **(env or {}), "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        **options,
    )
