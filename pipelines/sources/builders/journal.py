"""What a preparation keeps of its finished shards, so that after a kill it goes on from there.

Finished shards lie in a hidden folder beside the data set, each with a report that tells what it
was made from. They are linked into the data set in the end, and the folder is removed.
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

from pipelines.schema import BadFileError, DataError

_REPORT = ".report.json"
_ERROR = "error.json"
_LOCK = "lock"


class ShardReport(NamedTuple):
    """What became of the examples of a shard.

    Attributes:
        split: that the shard belongs to.
        num_examples: in the shard.
        num_off_palette: pixels whose colour was not in the palette.
        skipped: `split`, `file`, `kind` and `reason` of each file that was left out.
        fingerprint: of what the shard was made from.
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

    def shard(self, name: str) -> Path:
        """Where the finished shard of that file name lies."""
        return self.directory / name

    def finished(self, name: str) -> ShardReport | None:
        """The report of a shard, or None if it is not finished."""
        if not self.shard(name).exists():
            return None
        return self._read(self.directory / (name + _REPORT))

    def write_report(self, name: str, report: ShardReport) -> None:
        """Writes what became of the examples of a shard, before the shard itself is finished."""
        self._write(self.directory / (name + _REPORT), report._asdict())

    def write_error(self, error: BadFileError) -> None:
        """Writes what stopped the preparation: errors of other processes come home garbled."""
        content = {"path": str(error.path), "kind": error.kind, "message": error.message}
        self._write(self.directory / _ERROR, content)

    def read_error(self) -> BadFileError | None:
        """What stopped the preparation, if a bad file did."""
        try:
            return BadFileError(**json.loads((self.directory / _ERROR).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def reports(self) -> list[ShardReport]:
        """The reports of all finished shards, in the order of their names."""
        names = sorted(path.name.removesuffix(_REPORT) for path in self.directory.glob("*.json"))
        found = [self.finished(name) for name in names if name != _ERROR]
        return [report for report in found if report is not None]

    def drop_stale(self, fingerprints: Mapping[str, str]) -> None:
        """Removes what was made from something else than what is asked for now.

        Args:
            fingerprints: of the shards asked for, by file name.
        """
        if not self.directory.exists():
            return
        kept = set()
        for name, fingerprint in fingerprints.items():
            report = self.finished(name)
            if report is not None and report.fingerprint == fingerprint:
                kept |= {name, name + _REPORT}
        for path in self.directory.iterdir():
            if path.name not in kept and path.name != _LOCK:
                path.unlink()

    def _read(self, path: Path) -> ShardReport | None:
        try:
            return ShardReport(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        temporary.write_text(json.dumps(content))
        os.replace(temporary, path)


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[Journal]:
    """Makes the folder for one preparation at a time.

    On success, and on an error in the data, the folder is removed; on an interruption it stays if
    it holds a finished shard.

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


def _lock(lock: Any, directory: Path) -> None:
    try:
        import fcntl
    except ImportError:
        # Not on Windows, where two preparations at a time would get in each other's way.
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
        reader: what turns the items into examples; its `repr` counts.
        items: of the shard; the files in their `paths`, if they have any, count too.
    """
    digest = hashlib.sha256(repr(reader).encode())
    for item in items:
        digest.update(repr(item).encode())
        for path in getattr(item, "paths", ()):
            with contextlib.suppress(OSError):
                stat = path.stat()
                digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def write_shard(journal: Journal, destination: Path, write: Any, examples: Iterable[Any]) -> None:
    """Writes a shard, or takes the finished one.

    Args:
        journal: where finished shards are.
        destination: of the shard in the data set.
        write: function of path and examples that writes them.
        examples: are not touched if the shard is finished.
    """
    shard = journal.shard(destination.name)
    if not shard.exists():
        temporary = shard.with_name(f"{shard.name}.{os.getpid()}.part")
        write(temporary, examples)
        os.replace(temporary, shard)
    destination.unlink(missing_ok=True)
    try:
        os.link(shard, destination)
    except OSError:
        shutil.copyfile(shard, destination)
