"""Reads text files that people wrote by hand or saved from a spreadsheet."""

from __future__ import annotations

import codecs
from pathlib import Path

from pipelines.schema import DataError

# Editors and spreadsheets mark what they save by these first bytes; UTF-32 begins like UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_lines(path: Path, remedy: str = "check the file and its permissions") -> list[str]:
    """Returns the lines of a text file, without their ends.

    UTF-8 is read with and without a byte order mark, UTF-16 and UTF-32 with one. Lines end in LF,
    CRLF or CR.

    Args:
        path: the file.
        remedy: what to do where it cannot be read, for the error message.

    Raises:
        DataError: if the file cannot be read, or is in another encoding. Which one cannot be
            told from the bytes, and a wrong guess would change names in silence.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DataError(
            f"{path}: not UTF-8 text; save it as UTF-8, as with: "
            f"iconv -f WINDOWS-1252 -t UTF-8 '{path}'"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
