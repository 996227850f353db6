"""Where an export is made before it is moved to its place."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from spade_tf.export.errors import ExportError

_PREFIX = ".staged-"
# Held by the process that makes an export; the system lets go of it when the process ends.
_LOCK = "lock"


@contextlib.contextmanager
def staging_folder(output_dir: Path) -> Iterator[Path]:
    """A folder in the output directory, on the same disk; none of it stays.

    What exports left that were killed is removed.

    Args:
        output_dir: of the versions of a model; made where there is none, and removed again where
            the export fails.

    Raises:
        ExportError: if it cannot be written.
    """
    made = not output_dir.exists()
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        _remove_left(output_dir)
        scratch = tempfile.TemporaryDirectory(dir=output_dir, prefix=_PREFIX)
    except OSError as error:
        raise ExportError(
            f"--output_dir={output_dir}: cannot be written ({error.strerror}); choose another one"
        ) from error
    try:
        with scratch as name, open(Path(name) / _LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(name)
    except BaseException:
        if made:
            # Only what another process has put there meanwhile may keep it.
            shutil.rmtree(output_dir / "serving", ignore_errors=True)
            with contextlib.suppress(OSError):
                output_dir.rmdir()
        raise


def _remove_left(output_dir: Path) -> None:
    """Removes the folders of exports that have ended; names those that do not say whose they are.

    Exports of earlier releases took no lock.
    """
    for folder in sorted(output_dir.glob(f"{_PREFIX}*")):
        try:
            with open(folder / _LOCK) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
        except BlockingIOError:
            # An export that is at work.
            continue
        except OSError as error:
            print(
                f"{folder}: left by an export, it seems, and not removed ({error.strerror}); "
                "remove it if no export is at work",
                file=sys.stderr,
            )
