"""Keeps the finished shards of a preparation, so that it can go on after it was stopped.

Finished shards lie in a hidden folder beside the data set, each with a report of what it was made
from. In the end the shards are linked into the data set, and the folder is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from pipelines.schema import BadFileError, DataError

_REPORT = ".report.json"
_ERROR = "error.json"
_LOCK = "lock"


class ShardReport(NamedTuple):
    """What became of the examples of a shard.

    Attributes:
        split: the split that the shard belongs to.
        num_examples: number of examples in the shard.
        num_off_palette: number of pixels whose colour was not in the palette.
        skipped: `split`, `file`, `kind`, `stage` and `reason` of each file that was left out.
        fingerprint: digest of what the shard was made from; see `fingerprint`.
        sources: path and `pipelines.sources.provenance.Stamp` of each file that it was made from.
    """

    split: str
    num_examples: int
    num_off_palette: int
    skipped: list[dict[str, str]]
    fingerprint: str
    sources: list[list[Any]]


class Journal(NamedTuple):
    """The folder of finished shards.

    Attributes:
        directory: the folder.
    """

    directory: Path

    def finished(self, name: str) -> ShardReport | None:
        """Returns the report of a shard, or None if the shard is not finished."""
        if not (self.directory / name).exists():
            return None
        try:
            return ShardReport(**json.loads((self.directory / (name + _REPORT)).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def part(self, name: str) -> Path:
        """Returns where this process writes a shard until it is finished."""
        return self.directory / f"{name}.{os.getpid()}.part"

    def finish(self, name: str, report: ShardReport) -> None:
        """Takes up the shard that `part` holds now, and its report."""
        # The report comes first: a shard without one would not count as finished.
        self._write(name + _REPORT, report._asdict())
        os.replace(self.part(name), self.directory / name)

    def write_error(self, error: BadFileError) -> None:
        """Writes down what stopped the preparation. Beam passes on errors as plain text only."""
        content = {"path": str(error.path), "kind": error.kind, "message": error.message}
        self._write(_ERROR, content)

    def read_error(self) -> BadFileError | None:
        """Returns the bad file that stopped the preparation, or None."""
        try:
            return BadFileError(**json.loads((self.directory / _ERROR).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def reports(self) -> list[ShardReport]:
        """Returns the reports of all finished shards, in the order of their names."""
        names = sorted(
            path.name.removesuffix(_REPORT) for path in self.directory.glob("*" + _REPORT)
        )
        found = [self.finished(name) for name in names]
        return [report for report in found if report is not None]

    def drop_stale(self, fingerprints: Mapping[str, str]) -> None:
        """Removes shards that were made from something else than what is asked for now.

        Args:
            fingerprints: digests of the shards asked for, by file name.
        """
        kept = {_LOCK}
        for name, digest in fingerprints.items():
            report = self.finished(name)
            if report is not None and report.fingerprint == digest:
                kept |= {name, name + _REPORT}
        for path in self.directory.iterdir():
            if path.name not in kept:
                path.unlink()

    def link(self, name: str, directory: Path) -> None:
        """Links a finished shard into a folder, or copies it where links do not work."""
        try:
            os.link(self.directory / name, directory / name)
        except OSError:
            shutil.copyfile(self.directory / name, directory / name)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        temporary = self.part(name)
        temporary.write_text(json.dumps(content))
        os.replace(temporary, self.directory / name)


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[Journal]:
    """Makes the folder, for one preparation at a time.

    The folder is removed on success and on an error in the data. After an interruption it stays,
    if it holds a finished shard.

    Raises:
        DataError: if another process is writing there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    journal = Journal(directory)
    with open(directory / _LOCK, "w") as lock:
        _lock(lock, directory)
        keep = False
        try:
            yield journal
        except Exception:
            raise
        except BaseException:
            keep = bool(journal.reports())
            raise
        finally:
            if not keep:
                shutil.rmtree(directory, ignore_errors=True)


def _lock(lock: TextIO, directory: Path) -> None:
    try:
        import fcntl
    except ImportError:
        # Windows has no such locks: two preparations at a time would get in each other's way.
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(
            f"{directory}: another prepare is writing this data set; wait for it, or give another "
            "--data_dir"
        ) from None
    except OSError:
        # Some network file systems have no locks.
        return


def fingerprint(reader: Any, items: Sequence[Any]) -> str:
    """Returns a digest of what a shard is made from: names, sizes and times, not contents.

    Args:
        reader: the function that reads the examples; its `repr` counts.
        items: the items of the shard; the files in their `paths`, if they have any, count too.
    """
    digest = hashlib.sha256(repr(reader).encode())
    for item in items:
        digest.update(repr(item).encode())
        for path in getattr(item, "paths", ()):
            with contextlib.suppress(OSError):
                stat = path.stat()
                digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()
