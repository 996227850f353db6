"""Lists the files of a source folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pipelines.schema import BadFileError, DataError
from pipelines.sources.patterns import JPEG_SUFFIXES, MAP_SUFFIXES, Pattern, folded

# What systems and tools leave beside one's files. Hidden files are not listed either.
_LITTER = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    *("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"),
}

_NUM_NAMED = 3
_UNLISTED = {
    FileNotFoundError: "no such folder",
    NotADirectoryError: "a file; give the folder that it is in",
}

OnBadFile = Callable[[BadFileError], None]


def report(bad: BadFileError, on_bad_file: OnBadFile | None) -> None:
    """Tells of a bad file: raises its error, or calls `on_bad_file` if there is one."""
    if on_bad_file is None:
        raise bad
    on_bad_file(bad)


class SourceFiles:
    """All files under a folder, folders in folders included, apart from hidden ones and litter.

    Args:
        root: the folder.
        wanted: the files that should lie there, quoted in the error messages.
        advise: given all names, says which settings would find the files, or nothing.

    Attributes:
        root: the folder.
        wanted: the files that should lie there.
        names: paths relative to the folder, with `/` between folders, in their order.
        unnamed: files whose names are not UTF-8, written with escapes; they cannot be used.

    Raises:
        DataError: if a folder is missing or cannot be listed.
    """

    def __init__(
        self,
        root: Path,
        wanted: str,
        advise: Callable[[Sequence[str]], str] | None = None,
    ) -> None:
        self.root = root
        self.wanted = wanted
        self._advise = advise
        self.names: list[str] = []
        self.unnamed: list[str] = []
        self._walk(root, "", (os.path.realpath(root),))
        self.names.sort()

    def _walk(self, folder: Path, prefix: str, above: tuple[str, ...]) -> None:
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            what = _UNLISTED.get(type(error), f"cannot be listed ({error.strerror})")
            raise DataError(f"{folder}: {what}; what is wanted: {self.wanted}") from None
        for entry in entries:
            if entry.name.startswith((".", "~$")) or entry.name.lower() in _LITTER:
                continue
            name = prefix + entry.name
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                # A link to a folder that it lies in would be followed for ever.
                if real not in above:
                    self._walk(Path(entry.path), name + "/", (*above, real))
                continue
            try:
                name.encode()
            except UnicodeEncodeError:
                self.unnamed.append(name.encode(errors="surrogateescape").decode(errors="replace"))
            else:
                self.names.append(name)

    def folder(self, pattern: str) -> Path:
        """The folder that files of a pattern lie in."""
        return self.root / pattern.partition("*")[0].rpartition("/")[0]

    def left_out(self, used: Iterable[Path], hidden: Sequence[Path] = ()) -> list[str]:
        """Returns the files that are not used, relative to the folder.

        Args:
            used: the files that are, or that were reported.
            hidden: folders whose files are not counted.
        """
        taken = {os.path.abspath(path) for path in used}
        away = tuple(os.path.abspath(path) + os.sep for path in hidden)
        root = os.path.abspath(self.root)
        left = [
            name
            for name in self.names
            if (path := os.path.join(root, name)) not in taken and not path.startswith(away)
        ]
        return left + self.unnamed

    def list(
        self,
        pattern: str,
        *,
        maps: bool = False,
        others: Sequence[str] = (),
        on_bad_file: OnBadFile | None = None,
    ) -> dict[str, Path]:
        """Returns the pictures of a pattern by the name that its `*` stands for, in their order.

        Args:
            pattern: see `pipelines.sources.patterns`.
            maps: whether `.npy` arrays are taken, too.
            others: further patterns. A file belongs to the one that says most about its name.
            on_bad_file: called for files that cannot be taken, in place of an error.

        Raises:
            DataError: if the folder is missing, or without such files.
            BadFileError: if two files have the same name.
        """
        found: dict[str, Path] = {}
        wanted = Pattern(pattern)
        rivals = [other for other in map(Pattern, others) if other.weight > wanted.weight]
        for name in self.names:
            key = wanted.key(name, maps)
            if key is None or any(other.key(name, maps) is not None for other in rivals):
                continue
            path = self.root / name
            if key in found:
                said = f"same stem as {found[key].name}; rename or remove one of the two"
                report(BadFileError(path, "duplicate stem", said), on_bad_file)
            else:
                found[key] = path
        if not found:
            folder = self.folder(pattern)
            types = ", ".join(wanted.suffixes(maps))
            what = f"no images in it ({wanted.name} with {types})"
            if not folder.is_dir():
                what = "no such folder"
            raise DataError(f"{folder}: {what}; {self.remedy()}")
        return found

    def remedy(self) -> str:
        """Returns what to do where files are not found: flags that find them, or what is wanted."""
        advice = self._advise(self.names) if self._advise else ""
        return advice or f"what is wanted: {self.wanted}"

    def unread(self, path: Path, where: Path) -> str:
        """What to do about a file without counterpart, if one of an unread type is there."""
        stem = os.path.splitext(path.name)[0]
        for name in self.names:
            other = self.root / name
            suffix = other.suffix.lower()
            same = other.is_relative_to(where) and other.name == stem + other.suffix
            if same and suffix not in MAP_SUFFIXES:
                return f"{other} lies there, but {suffix} is not read: convert it to PNG"
        return ""


def list_images(
    directory: Path, wanted: str, *, maps: bool = False, on_bad_file: OnBadFile | None = None
) -> dict[str, Path]:
    """Returns the pictures under a folder by their names relative to it, without file types.

    Args:
        directory: where to look.
        wanted: the files that should lie there, quoted in the error messages.
        maps: whether `.npy` arrays are taken, too.
        on_bad_file: called for files that cannot be taken, in place of an error.

    Raises:
        DataError: if the directory is missing, unreadable or without such files.
        BadFileError: if two files have the same name.
    """
    return SourceFiles(directory, wanted).list("*", maps=maps, on_bad_file=on_bad_file)


def find_spelt(folder: Path, name: str) -> Path | None:
    """Returns the file that a relative or absolute path means, regardless of case and spaces.

    Args:
        folder: that the path is relative to.
        name: the path, with `/` between folders.

    Returns:
        The file, or None if there is none, or more than one.
    """
    parts = Path(name).parts
    found = folder
    for part in parts:
        if (found / part).exists():
            found = found / part
            continue
        try:
            same = [entry for entry in os.listdir(found) if folded(entry) == folded(part)]
        except OSError:
            return None
        if len(same) != 1:
            return None
        found = found / same[0]
    return found


def lossy_mask(path: Path, name: str = "") -> BadFileError:
    """Returns what is said of a mask that was saved in a format that changes pixels.

    Args:
        path: the file.
        name: of the format; by default, as the ending of the file's name says.
    """
    suffix = path.suffix.lower()
    name = name or ("JPEG" if suffix in JPEG_SUFFIXES else suffix.removeprefix(".").upper())
    return BadFileError(
        path,
        f"{name} mask",
        f"{name} mask, whose compression has changed the ids; make it again from the original "
        "annotation and save it as a single-channel 8-bit or 16-bit PNG whose values are the ids",
    )


def enumerate_few(values: Sequence[object]) -> str:
    """Returns the first values as text, and how many more there are."""
    named = ", ".join(str(value) for value in values[:_NUM_NAMED])
    rest = len(values) - _NUM_NAMED
    return f"{named} and {rest} more" if rest > 0 else named


def describe_left_out(names: Sequence[str]) -> str:
    """Returns one line about files that are not used: how many, of which types, the first names."""
    types = Counter(os.path.splitext(name)[1].lower() or "without ending" for name in names)
    counts = ", ".join(f"{count} {suffix}" for suffix, count in types.most_common())
    return f"{len(names)} files are not used ({counts}): {enumerate_few(names)}"
