"""The trained model of the built-in landscapes that comes with a clone."""

from __future__ import annotations

from pathlib import Path

from experiments.setup.config import ConfigError

SHIPPED_MODEL = Path(__file__).parents[2] / "saved_models" / "landscapes"


def shipped_model() -> Path:
    """The folder of the versions of the trained model that comes with a clone.

    Raises:
        ConfigError: if this installation was not made from a clone.
    """
    if not SHIPPED_MODEL.is_dir():
        raise ConfigError(
            "--model: the trained model of landscapes comes with a clone of the repository, and "
            f"is not at {SHIPPED_MODEL}; give a model of your own"
        )
    return SHIPPED_MODEL
