"""Records which files a data set was made from, and checks whether they are still the same.

`sources.jsonl` beside the shards has a line for each file: where it is in the source folder, its
size, times, and a digest of its content. A file with the same size and the same two times (of
its content and of its inode) counts as unchanged and is not read: no program can change a file and
keep the time of its inode. A file of another size has changed. Any other file, such as one of a
copied folder, is read and compared by its digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.schema import DataError
from pipelines.sources.listing import enumerate_few

SOURCES_FILE = "sources.jsonl"

_DIGEST_BYTES = 16


class Stamp(NamedTuple):
    """What is recorded of a file.

    Attributes:
        size: in bytes; -1 if the file cannot be read.
        changed_ns: time when its content last changed, in nanoseconds.
        inode_changed_ns: time when its content, name or rights last changed, in nanoseconds.
        digest: digest of its content.
    """

    size: int
    changed_ns: int
    inode_changed_ns: int
    digest: str


def stamp(path: Path) -> Stamp:
    """Returns the stamp of a file."""
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            digest = hashlib.file_digest(
                file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)
            ).hexdigest()
    except OSError:
        return Stamp(-1, 0, 0, "")
    return Stamp(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, digest)


def stamps_of(items: Iterable[Any]) -> list[list[Any]]:
    """Returns the path and the stamp of each file of these items, as lists that JSON can hold."""
    return [
        [os.fspath(path), *stamp(path)] for item in items for path in getattr(item, "paths", ())
    ]


def write_sources(directory: Path, source_dir: Path, stamps: Mapping[str, Stamp]) -> None:
    """Writes down what a data set was made from.

    Args:
        directory: the version directory of the data set.
        source_dir: the folder of its source files.
        stamps: stamps of its source files, by path.
    """
    temporary = directory / f"{SOURCES_FILE}.part"
    with temporary.open("w", encoding="utf-8") as file:
        for path, kept in sorted(stamps.items()):
            file.write(json.dumps([_relative(path, source_dir), *kept]) + "\n")
    os.replace(temporary, directory / SOURCES_FILE)


def check_sources(directory: Path, source_dir: Path, paths: Sequence[Path], remedy: str) -> bool:
    """Checks that a data set was made from these files as they are now.

    Args:
        directory: the version directory of the data set.
        source_dir: the folder that the source files lie in now.
        paths: paths of all source files.
        remedy: what to do if it was not, for the error message.

    Returns:
        Whether it could be told; data sets of earlier versions do not say.

    Raises:
        DataError: if files were added, removed or changed.
    """
    try:
        lines = (directory / SOURCES_FILE).read_text(encoding="utf-8").splitlines()
        before = {name: Stamp(*kept) for name, *kept in map(json.loads, lines)}
    except FileNotFoundError:
        return False
    now = {_relative(path, source_dir): path for path in paths}
    stamps: dict[str, Stamp] = {}
    changed = []
    for name in sorted(before.keys() & now.keys()):
        kept = _unchanged(now[name], before[name])
        if kept is None:
            changed.append(name)
        else:
            stamps[os.fspath(now[name])] = kept
    differences = {
        "changed": changed,
        "added": sorted(now.keys() - before.keys()),
        "removed": sorted(before.keys() - now.keys()),
    }
    said = [
        f"{len(names)} {how} ({enumerate_few(names)})"
        for how, names in differences.items()
        if names
    ]
    if said:
        raise DataError(
            f"{directory}: prepared from other files than those in {source_dir} now: "
            f"{', '.join(said)}; {remedy}"
        )
    if set(stamps.values()) != set(before.values()):
        # So that files that were touched or copied need not be read again the next time.
        with contextlib.suppress(OSError):
            write_sources(directory, source_dir, stamps)
    return True


def _unchanged(path: Path, before: Stamp) -> Stamp | None:
    """Returns the stamp of a file now, or None if it has changed."""
    try:
        stat = path.stat()
    except OSError:
        return before if before.size < 0 else None
    if (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) == before[:3]:
        return before
    if stat.st_size != before.size:
        return None
    now = stamp(path)
    return now if now.digest == before.digest else None


def _relative(path: str | os.PathLike[str], source_dir: Path) -> str:
    return os.path.relpath(path, source_dir)


@contextlib.contextmanager
def replacing(directory: Path) -> Iterator[Path]:
    """Gives an empty folder to fill, which then takes the place of a prepared data set, if any.

    After an error, what was there before stays.

    Args:
        directory: the version directory of the data set.
    """
    new, old = directory.with_name(f".new-{directory.name}"), _away(directory)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        if directory.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(directory, old)
        os.rename(new, directory)
    except BaseException:
        move_back(directory)
        raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def move_back(directory: Path) -> None:
    """Moves a data set back whose replacement never came, because the process was killed."""
    if not directory.exists() and _away(directory).exists():
        os.rename(_away(directory), directory)


def _away(directory: Path) -> Path:
    return directory.with_name(f".old-{directory.name}")
