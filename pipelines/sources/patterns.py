"""Patterns that say where files of one kind lie and how they are named.

A pattern is a path relative to the source folder with one `*`, such as `train_label/*` or
`masks/*_segmentation.png`. The `*` is the name that the files of one example share; it may hold
folders. A pattern without a file type takes every type that is read.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence

from pipelines.schema import DataError

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
_LOSSLESS_SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".tga")
LOSSY_SUFFIXES = (*JPEG_SUFFIXES, ".webp", ".avif", ".heic", ".heif", ".jp2")
PICTURE_SUFFIXES = (*_LOSSLESS_SUFFIXES, *LOSSY_SUFFIXES)
MAP_SUFFIXES = (*PICTURE_SUFFIXES, ".npy")


class Pattern:
    """A pattern of file names.

    Attributes:
        weight: how many characters it fixes.
        name: its last part, as in `*_mask`.
    """

    def __init__(self, pattern: str) -> None:
        if pattern.count("*") != 1:
            raise DataError(
                f"{pattern!r} received; give a path relative to the source folder with one * for "
                "the name that files of one example share, such as 'masks/*_segmentation'"
            )
        pattern = unicodedata.normalize("NFC", pattern.removeprefix("./"))
        self._prefix, _, ending = pattern.partition("*")
        self._suffix = os.path.splitext("x" + ending)[1].lower()
        if self._suffix not in MAP_SUFFIXES:
            self._suffix = ""
        self._ending = ending[: len(ending) - len(self._suffix)]
        self.weight = len(pattern)
        self.name = self._prefix.rpartition("/")[2] + "*" + self._ending

    def suffixes(self, maps: bool) -> Sequence[str]:
        """The file types that are taken."""
        if not self._suffix:
            return MAP_SUFFIXES if maps else PICTURE_SUFFIXES
        return JPEG_SUFFIXES if self._suffix in JPEG_SUFFIXES else (self._suffix,)

    def key(self, name: str, maps: bool) -> str | None:
        """What `*` stands for in the name of a file, or None if it is of no such pattern."""
        stem, suffix = os.path.splitext(unicodedata.normalize("NFC", name))
        if suffix.lower() not in self.suffixes(maps):
            return None
        if not (stem.startswith(self._prefix) and stem.endswith(self._ending)):
            return None
        return stem[len(self._prefix) : len(stem) - len(self._ending)] or None


def folded(key: str) -> str:
    """Returns a name without what spellings of it differ in: case, spaces, Unicode forms."""
    return "".join(unicodedata.normalize("NFKC", key).casefold().split())
