"""What networks saw in real pictures, kept from one evaluation to the next."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from experiments.commands.evaluate.judges import Judges
from experiments.commands.evaluate.pairs import Batch


class RealCache:
    """Features and counts of real pictures, by the content of the pictures and their maps.

    There is one file for each network. Its name is a hash of all that its numbers depend on apart
    from the pictures: the weights, the scaling and the version of TensorFlow. Within it, a row is
    found by the SHA-256 of a picture and its map. So another picture has another row.

    The files are in the user's cache folder unless another is given. They are not beside the
    output, because each model has an output of its own, and the real pictures are the same.

    Args:
        folder: of the files; None or an empty path to keep nothing.
        judges: networks that look at the pictures.
    """

    def __init__(self, folder: Path | None, judges: Judges):
        self._stores = [] if folder is None else [_Store(folder, *each) for each in _kept(judges)]
        self.hits = 0

    def get(self, batch: Batch) -> dict[str, np.ndarray] | None:
        """What is known of all pictures of a batch, by name; None unless it is complete.

        Args:
            batch: real pictures and their maps.
        """
        if not self._stores:
            return None
        keys = _keys(batch)
        if not all(store.has(keys) for store in self._stores):
            return None
        self.hits += len(keys)
        return {store.name: store.rows(keys) for store in self._stores}

    def add(self, batch: Batch, seen: Mapping[str, np.ndarray]) -> None:
        """Keeps what was found.

        Args:
            batch: real pictures and their maps.
            seen: `[B, …]` by name.
        """
        keys = _keys(batch) if self._stores else []
        for store in self._stores:
            store.add(keys, seen[store.name])

    def save(self) -> None:
        """Writes the files."""
        for store in self._stores:
            store.save()


def read_kept(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file that `keep` wrote; None if it is not there or damaged.

    Args:
        path: of the file.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
        print(f"warning: {path}: not read ({error}); made anew", file=sys.stderr)
        return None


def keep(path: Path, **arrays: Any) -> None:
    """Writes a file, whole or not at all.

    A folder that cannot be written to costs time later: that is a warning and no error.

    Args:
        path: of the file; its name must tell all that the arrays depend on.
        **arrays: by name.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                np.savez(file, **arrays)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        print(f"warning: {path}: not kept ({error.strerror})", file=sys.stderr)


def _kept(judges: Judges) -> list[tuple[str, dict[str, Any]]]:
    """Name of the numbers of each network, and what they depend on."""
    kept: list[tuple[str, dict[str, Any]]] = [
        (
            f"features/{network.name}",
            {"weights": network.weights, "size": network.size, "resize": network.resize},
        )
        for network in judges.features
    ]
    if judges.segmenter is not None:
        segmenter = judges.segmenter
        kept.append(
            (
                "counts",
                {
                    "weights": segmenter.weights,
                    "size": segmenter.size,
                    "classes": segmenter.class_names,
                },
            )
        )
    return kept


class _Store:
    """Rows of one network."""

    def __init__(self, folder: Path, name: str, protocol: Mapping[str, Any]):
        self.name = name
        text = json.dumps({"name": name, "tensorflow": tf.__version__, **protocol}, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.path = folder / f"{name.replace('/', '-')}-{digest}.npz"
        self._rows: dict[bytes, np.ndarray] = {}
        self._changed = False
        arrays = read_kept(self.path)
        if arrays is not None:
            rows = zip(arrays["keys"], arrays["values"], strict=True)
            self._rows = {key.tobytes(): value for key, value in rows}

    def has(self, keys: list[bytes]) -> bool:
        return all(key in self._rows for key in keys)

    def rows(self, keys: list[bytes]) -> np.ndarray:
        return np.stack([self._rows[key] for key in keys])

    def add(self, keys: list[bytes], values: np.ndarray) -> None:
        self._rows.update(zip(keys, values, strict=True))
        self._changed = True

    def save(self) -> None:
        if self._changed:
            keys = np.stack([np.frombuffer(key, np.uint8) for key in self._rows])
            keep(self.path, keys=keys, values=np.stack(list(self._rows.values())))


def _keys(batch: Batch) -> list[bytes]:
    keys = []
    for index, image in enumerate(batch.images):
        digest = hashlib.sha256(f"{image.shape}".encode() + image.tobytes())
        for name in sorted(batch.maps):
            digest.update(name.encode() + np.ascontiguousarray(batch.maps[name][index]).tobytes())
        keys.append(digest.digest())
    return keys
