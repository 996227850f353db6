"""Checks that the packages of the extra `serve` are installed."""

from __future__ import annotations

import importlib

from spade_tf.serving.errors import ServingError


def require(package: str, purpose: str) -> None:
    """Imports a package.

    Args:
        package: name of the package.
        purpose: what needs it.

    Raises:
        ServingError: naming the extra, if it is not installed.
    """
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise ServingError(
            f"{purpose}: {error.name} is not installed; pip install 'spade-tf[serve]'"
        ) from error
