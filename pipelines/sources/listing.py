"""Finds the files of a data set and matches them, so that no half pair gets further than here.

A pattern says where files of one kind lie and how they are named: a path relative to the source
folder with one `*`, such as `train_label/*` or `masks/*_segmentation.png`. The `*` is the name that
the files of one example share; it may hold folders. Where the pattern names no file type, any type
that is read will do.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.schema import BadFileError, DataError

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
_LOSSLESS_SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".tga")
LOSSY_SUFFIXES = (*JPEG_SUFFIXES, ".webp", ".avif", ".heic", ".heif", ".jp2")
PICTURE_SUFFIXES = (*_LOSSLESS_SUFFIXES, *LOSSY_SUFFIXES)
_MAP_SUFFIXES = (*PICTURE_SUFFIXES, ".npy")

# What systems and tools leave beside one's files. Hidden files are not listed either.
_LITTER = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    *("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"),
}

_NUM_NAMED = 3

OnBadFile = Callable[[BadFileError], None]


class Pair(NamedTuple):
    """The files of one example.

    Attributes:
        stem: the name that all of them share.
        image: the photograph.
        label: the label map; None where there is a condition, or where a network labels.
        instance: the instance map, or None.
        condition: a continuous map in place of the label map, or None.
    """

    stem: str
    image: Path
    label: Path | None
    instance: Path | None = None
    condition: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that there are."""
        return tuple(path for path in self[1:] if path is not None)


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
        except FileNotFoundError:
            raise DataError(f"{folder}: no such folder; what is wanted: {self.wanted}") from None
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be listed ({error.strerror}); what is wanted: {self.wanted}"
            ) from None
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
            pattern: see the module.
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
                bad = BadFileError(
                    path,
                    "duplicate stem",
                    f"same stem as {found[key].name}; rename or remove one of the two",
                )
                if on_bad_file is None:
                    raise bad
                on_bad_file(bad)
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
            if same and suffix not in _MAP_SUFFIXES:
                return f"{other} lies there, but {suffix} is not read: convert it to PNG"
        return ""


class Pattern:
    """A pattern of file names; see the module.

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
        if self._suffix not in _MAP_SUFFIXES:
            self._suffix = ""
        self._ending = ending[: len(ending) - len(self._suffix)]
        self.weight = len(pattern)
        self.name = self._prefix.rpartition("/")[2] + "*" + self._ending

    def suffixes(self, maps: bool) -> Sequence[str]:
        """The file types that are taken."""
        if not self._suffix:
            return _MAP_SUFFIXES if maps else PICTURE_SUFFIXES
        return JPEG_SUFFIXES if self._suffix in JPEG_SUFFIXES else (self._suffix,)

    def key(self, name: str, maps: bool) -> str | None:
        """What `*` stands for in the name of a file, or None if it is of no such pattern."""
        stem, suffix = os.path.splitext(unicodedata.normalize("NFC", name))
        if suffix.lower() not in self.suffixes(maps):
            return None
        if not (stem.startswith(self._prefix) and stem.endswith(self._ending)):
            return None
        return stem[len(self._prefix) : len(stem) - len(self._ending)] or None


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


def find_pairs(
    files: SourceFiles,
    *,
    image: str,
    label: str | None = None,
    instance: str | None = None,
    condition: str | None = None,
    on_bad_file: OnBadFile | None = None,
) -> list[Pair]:
    """Matches photographs with the maps that there are, by the names in their patterns.

    Names are the same if they are so in Unicode's composed form. What then has no counterpart is
    matched regardless of case and spaces, and then, where all maps or all photographs lie in one
    folder, by the last part of the name; both only where one single file fits.

    Args:
        files: where to look.
        image: pattern of the photographs.
        label: pattern of the label maps, or None.
        instance: pattern of the instance maps, or None.
        condition: pattern of continuous maps, or None.
        on_bad_file: called for every file that cannot be taken, in place of an error; what
            remains is the pairs of good files.

    Returns:
        The pairs, in the order of the photographs' names.

    Raises:
        DataError: as `SourceFiles.list`, or if files lack their counterparts.
        BadFileError: as `SourceFiles.list`, or if a mask is of a lossy file type.
    """
    patterns = {"label": label, "instance": instance, "condition": condition}
    given = {kind: pattern for kind, pattern in patterns.items() if pattern is not None}
    spoilt: set[str] = set()

    def report(bad: BadFileError) -> None:
        if on_bad_file is None:
            raise bad
        on_bad_file(bad)

    def collect(pattern: str, maps: bool) -> dict[str, Path]:
        def drop(bad: BadFileError) -> None:
            # Its counterparts are not to blame: they are left out without a word.
            key = Pattern(pattern).key(bad.path.relative_to(files.root).as_posix(), maps)
            spoilt.add(key or "")
            report(bad)

        others = [other for other in (image, *given.values()) if other != pattern]
        return files.list(pattern, maps=maps, others=others, on_bad_file=drop)

    images = collect(image, maps=False)
    matched: dict[str, dict[str, Path]] = {}
    alone: list[tuple[Path, Path]] = []
    for kind, pattern in given.items():
        masks = collect(pattern, maps=True)
        for key, path in masks.items():
            if path.suffix.lower() in LOSSY_SUFFIXES:
                spoilt.add(key)
                report(lossy_mask(path))
        matched[kind] = _match(images, masks)
        found = set(matched[kind].values())
        alone += [
            (path, files.folder(pattern))
            for key, path in images.items()
            if key not in matched[kind] and key not in spoilt
        ]
        alone += [
            (path, files.folder(image))
            for key, path in masks.items()
            if path not in found and key not in spoilt
        ]
    _report_alone(files, alone, len(images), on_bad_file)
    complete = [
        key
        for key in images
        if key not in spoilt and all(key in by_key for by_key in matched.values())
    ]
    if not complete:
        raise DataError(f"{files.folder(image)}: not one whole pair in it; {files.remedy()}")
    return [
        Pair(key, images[key], **{"label": None} | {kind: matched[kind][key] for kind in matched})
        for key in complete
    ]


def _match(images: Mapping[str, Path], masks: Mapping[str, Path]) -> dict[str, Path]:
    """Returns the mask of each photograph that has one."""
    matched = {key: masks[key] for key in images if key in masks}
    keys: list[Callable[[str], str]] = [_folded]
    # Otherwise day1/a might be given the mask of day2/a.
    if not any("/" in key for key in images) or not any("/" in key for key in masks):
        keys.append(lambda key: _folded(key.rpartition("/")[2]))
    for fold in keys:
        taken = set(matched.values())
        left = [key for key in images if key not in matched]
        rest = {key: path for key, path in masks.items() if path not in taken}
        if not left or not rest:
            break
        num_left, num_rest = Counter(map(fold, left)), Counter(map(fold, rest))
        by_fold = {fold(key): path for key, path in rest.items()}
        for key in left:
            if num_left[fold(key)] == num_rest[fold(key)] == 1:
                matched[key] = by_fold[fold(key)]
    return matched


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
            same = [entry for entry in os.listdir(found) if _folded(entry) == _folded(part)]
        except OSError:
            return None
        if len(same) != 1:
            return None
        found = found / same[0]
    return found


def _folded(key: str) -> str:
    return "".join(unicodedata.normalize("NFKC", key).casefold().split())


def _report_alone(
    files: SourceFiles,
    alone: Sequence[tuple[Path, Path]],
    num_images: int,
    on_bad_file: OnBadFile | None,
) -> None:
    if not alone:
        return
    if on_bad_file is None:
        path, where = alone[0]
        same = [one for one, folder in alone if (one.parent, folder) == (path.parent, where)]
        remedy = files.unread(path, where) or "add the missing files or remove these"
        if len(same) > num_images / 2 and (advice := files.remedy()).startswith("if "):
            remedy = advice
        raise DataError(
            f"{path.parent}: {len(same)} files have no counterpart of the same stem in {where}: "
            f"{enumerate_few([one.name for one in same])}; {remedy}, list the pairs in a file with "
            "--dataset=manifest, or let prepare leave them out (on_bad_file: skip)"
        )
    for path, where in dict(reversed(alone)).items():
        remedy = files.unread(path, where) or "add it or remove this file"
        on_bad_file(
            BadFileError(path, "unpaired", f"no counterpart of the same stem in {where}; {remedy}")
        )


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
