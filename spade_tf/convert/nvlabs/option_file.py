"""Files of official options: JSON, and the text that training writes beside its checkpoints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from spade_tf.convert.errors import ConversionError

__all__ = ["read_option_file"]

# "                 ngf: 64          [default: 32]", in the one release without what follows.
_LINE = re.compile(r"\s*(\w+): (.*?)\s*(?:\[default: .*\])?\s*")
_WORDS = {"True": True, "False": False, "None": None}


def read_option_file(path: Path) -> dict[str, Any]:
    """The options in a file, by their names.

    Args:
        path: a JSON object; or a text of a name, a colon and a value per line, as the official
            releases write to `opt.txt`. Numbers, `True`, `False` and `None` are read as such.

    Raises:
        ConversionError: if the file cannot be read, or holds neither.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConversionError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConversionError(
            f"{path}: is no text ({error.reason}); give options.json or opt.txt"
        ) from error
    return _read_lines(path, text) if path.suffix == ".txt" else _read_json(path, text)


def _read_json(path: Path, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConversionError(f"{path}: is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise ConversionError(f"{path}: must hold one JSON object of options by their names")
    return content


def _read_lines(path: Path, text: str) -> dict[str, Any]:
    matches = [_LINE.fullmatch(line) for line in text.splitlines()]
    options = {match[1]: _value(match[2]) for match in matches if match}
    if not options:
        raise ConversionError(f"{path}: no line such as 'ngf: 64' in it; give the opt.txt")
    return options


def _value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
