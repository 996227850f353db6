"""Photographs that give styles."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.setup.layouts import check_not_smaller, check_same_size, read_map
from experiments.setup.sizing import sized

if TYPE_CHECKING:
    from experiments.setup.predictors import Model


def read_photograph(
    model: Model, path: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads a photograph, and its label map, in the form that the encoder was trained on.

    Args:
        model: the model with the encoder.
        path: a JPEG or PNG.
        labels: its label map, a PNG; or None.

    Returns:
        float32 `[1, H, W, 3]` in [-1, 1], rounded to 256 levels; and int32 `[1, H, W]`, or None.

    Raises:
        BadFileError: if one cannot be used.
    """
    from pipelines.sources.inspection import decode_image
    from pipelines.sources.pictures import read_image

    read = {"image": decode_image(read_image(Path(path)).encoded)}
    check_not_smaller(model, read, Path(path))
    if labels is not None:
        read["label"] = read_map(model, Path(labels))["label"]
        check_same_size(read["label"].shape, labels, read["image"].shape[:2], path)
    made = sized(read, model.sizing)
    image = np.rint(made["image"])[None] / np.float32(127.5) - np.float32(1.0)
    return image, made["label"][None] if labels is not None else None
