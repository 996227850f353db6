"""The protocol of an evaluation: all that its scores depend on, apart from the model's weights."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
from typing import Any

from experiments.commands.evaluate.judges import Judges
from experiments.commands.evaluate.options import Pictures, Styles
from experiments.setup.predictors import Model


def describe_protocol(
    model: Model,
    judges: Judges,
    pictures: Pictures,
    styles: Styles,
    *,
    count: int,
    segmenter: str | os.PathLike[str] | None,
) -> dict[str, Any]:
    """The protocol, as `evaluation.json` has it after the name of the model.

    Args:
        model: that made the pictures.
        judges: that looked at them.
        pictures: which they were compared with.
        styles: of the model; see `Styles.of`.
        count: int, pictures.
        segmenter: workdir of the segmenter, or None.
    """
    labels = pictures.labels
    return {
        "dataset": model.dataset if labels is None else str(labels),
        "split": (pictures.split or model.split) if labels is None else None,
        "count": count,
        "image_size": list(model.image_size),
        "sizing": {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in model.sizing.items()
        },
        "pictures": "uint8, as written to PNG",
        **dataclasses.asdict(styles),
        "unknown": "pixels of unknown class are left out of segmentation scores",
        "features": {
            network.name: {
                "size": network.size,
                "resize": network.resize,
                "weights_sha256": network.weights,
                "is_fid": network.is_fid,
            }
            for network in judges.features
        },
        "lpips": None if judges.lpips is None else "v0.1, alexnet",
        "segmenter": None
        if judges.segmenter is None
        else {"path": str(segmenter), "weights_sha256": judges.segmenter.weights},
        "versions": {
            name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")
        },
    }
