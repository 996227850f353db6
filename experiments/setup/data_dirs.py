"""Where the data set of a run is: written down so that it is found from anywhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def data_dir_entries(
    data_dir: str | os.PathLike[str], directory: str | os.PathLike[str] | None
) -> dict[str, str]:
    """What a `config.json` says of the folder of a data set, for `data_dir_of`.

    Args:
        data_dir: the folder.
        directory: that the file belongs to; None where it is not known.
    """
    data_dir = os.path.abspath(os.path.expanduser(data_dir))
    entries = {"data_dir": data_dir}
    if directory is not None:
        # There is no way from one drive of Windows to another.
        with contextlib.suppress(ValueError):
            entries["data_dir_from_here"] = os.path.relpath(data_dir, directory)
    return entries


def data_dir_of(content: Mapping[str, Any], directory: str | os.PathLike[str]) -> str:
    """Where the data set of a run is now.

    Args:
        content: of a `config.json`.
        directory: the workdir that it is in.

    Returns:
        An absolute path: the folder that was written down, if it is there; else the one in the same
        place beside the workdir, if there is one; else the former. Older workdirs have a relative
        one, which is looked for in the current directory and in those around the workdir.
    """
    written = Path(content["data_dir"]).expanduser()
    directory = Path(directory).absolute()
    if written.is_absolute():
        candidates = [written]
        if content.get("data_dir_from_here"):
            candidates.append(directory / content["data_dir_from_here"])
    else:
        candidates = [around / written for around in (Path.cwd(), *directory.parents)]
    found = next((path for path in candidates if path.is_dir()), candidates[0])
    return os.path.normpath(found)
