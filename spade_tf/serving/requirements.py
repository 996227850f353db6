"""The packages of the extra `serve`, which not everybody installs."""

from __future__ import annotations

import importlib

from spade_tf.serving.errors import ServingError


def require(package: str, purpose: str) -> None:
    """Imports a package.

    Args:
        package: its name.
        purpose: what it is wanted for.

    Raises:
        ServingError: naming the extra, where it is not installed.
    """
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise ServingError(
            f"{purpose}: {error.name} is not installed; pip install 'spade-tf[serve]'"
        ) from error
