"""Records where the data set of a run is, so that it is found from any folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def data_dir_entries(
    data_dir: str | os.PathLike[str], directory: str | os.PathLike[str] | None
) -> dict[str, str]:
    """The entries of a `config.json` about the folder of a data set; `data_dir_of` reads them.

    Args:
        data_dir: the folder.
        directory: the folder of `config.json`; None if it is not known.
    """
    data_dir = os.path.abspath(os.path.expanduser(data_dir))
    entries = {"data_dir": data_dir}
    if directory is not None:
        # On Windows, no relative path leads from one drive to another.
        with contextlib.suppress(ValueError):
            entries["data_dir_from_here"] = os.path.relpath(data_dir, directory)
    return entries


def data_dir_of(content: Mapping[str, Any], directory: str | os.PathLike[str]) -> str:
    """Finds the data set of a run.

    Args:
        content: content of a `config.json`.
        directory: the workdir that holds it.

    Returns:
        An absolute path: the recorded folder if it exists, otherwise the folder at the same place
        relative to the workdir if that exists, otherwise the recorded folder. Older workdirs record
        a relative path: it is searched in the current directory and in the workdir's parents.
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
