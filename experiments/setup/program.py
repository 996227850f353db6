"""The name of the program, for help and error messages."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def program() -> str:
    """The text that users type before a command: `spade-tf`, or `python run.py` in a checkout."""
    if Path(sys.argv[0]).stem == "spade-tf" or not (ROOT / "run.py").is_file():
        return "spade-tf"
    return "python run.py"
