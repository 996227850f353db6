"""Keeps a bank beside the data set with its canvases, so that other label maps get canvases too."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from pipelines.collage.bank import Bank, Segments
from pipelines.schema import DataError

_FILE = "bank.npz"


def save_bank(bank: Bank, directory: Path) -> None:
    """Writes a bank into a folder."""
    arrays = {"before": bank.before}
    for label, segments in bank.segments.items():
        arrays |= {
            f"{label}/pictures": segments.pictures,
            f"{label}/shapes": segments.shapes.astype(bool),
            f"{label}/surroundings": segments.surroundings,
            f"{label}/sides": segments.sides,
            # Of segments of all sizes, one after the other.
            f"{label}/sizes": np.array([each.shape[:2] for each in segments.pixels]),
            f"{label}/pixels": np.concatenate([each.ravel() for each in segments.pixels]),
        }
    # The stubs of NumPy take the last argument, a flag, for one of these.
    np.savez_compressed(directory / _FILE, **arrays)  # type: ignore[arg-type]


def load_bank(directory: Path) -> Bank:
    """Reads the bank that `save_bank` wrote into a folder.

    Raises:
        DataError: if there is none, or it cannot be read.
    """
    path = directory / _FILE
    try:
        # NumPy does not close files that it cannot read.
        with path.open("rb") as file, np.load(file) as arrays:
            labels = sorted({int(name.partition("/")[0]) for name in arrays if "/" in name})
            segments = {label: _segments(arrays, label) for label in labels}
            return Bank(segments, arrays["before"])
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: cannot be read ({type(error).__name__}); remove {directory} and compose the "
            "canvases again"
        ) from error


def _segments(arrays: np.lib.npyio.NpzFile, label: int) -> Segments:
    shapes = arrays[f"{label}/shapes"].astype(np.float32)
    sizes = arrays[f"{label}/sizes"]
    ends = np.cumsum(4 * sizes.prod(axis=1))
    parts = np.split(arrays[f"{label}/pixels"], ends[:-1])
    return Segments(
        arrays[f"{label}/pictures"],
        shapes,
        shapes.sum(axis=1),
        arrays[f"{label}/surroundings"],
        arrays[f"{label}/sides"],
        [part.reshape(*size, 4) for part, size in zip(parts, sizes, strict=True)],
    )
