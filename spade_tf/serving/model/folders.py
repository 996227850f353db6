"""Where the versions of an export are. Nothing is loaded here."""

from __future__ import annotations

from pathlib import Path

from spade_tf.serving.errors import ServingError


def numbered_versions(directory: Path) -> list[int]:
    """Numbers of the versions in a folder that hold a SavedModel, the largest first."""
    try:
        numbers = [int(path.name) for path in directory.iterdir() if path.name.isdecimal()]
    except OSError:
        return []
    found = [n for n in numbers if (directory / str(n) / "saved_model.pb").exists()]
    return sorted(found, reverse=True)


def newest_version(directory: Path) -> Path:
    """The directory itself if it holds a SavedModel, else its version of the largest number.

    Raises:
        ServingError: if there is neither.
    """
    if not directory.is_dir():
        raise ServingError(f"--model={directory}: no such folder; give the output of export")
    if (directory / "saved_model.pb").exists():
        return directory
    numbers = numbered_versions(directory)
    if numbers:
        return directory / str(numbers[0])
    raise ServingError(
        f"--model={directory}: no SavedModel in it (no saved_model.pb); make one with the "
        "command export --model=WORKDIR --output_dir=DIR"
    )
