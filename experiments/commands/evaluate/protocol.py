"""The protocol of an evaluation: all that its scores depend on, apart from the model's weights."""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

from experiments.commands.evaluate.judges import Judges
from experiments.setup.predictors import Model


def describe_protocol(
    model: Model,
    judges: Judges,
    *,
    source: str,
    labels: str | os.PathLike[str] | None,
    split: str | None,
    count: int,
    style: str,
    num_styles: int,
    seed: int,
    segmenter: str | os.PathLike[str] | None,
) -> dict[str, Any]:
    """The protocol, as `evaluation.json` has it.

    Args:
        model: that made the pictures.
        judges: that looked at them.
        source: where the model came from.
        labels: folder of label maps; None for a split.
        split: name of the split; None for the one held out.
        count: int, pictures.
        style: "photograph", "drawn" or "none".
        num_styles: int, styles of each layout.
        seed: int, of styles, subsets and intervals.
        segmenter: workdir of the segmenter, or None.
    """
    return {
        "model": source,
        "dataset": model.dataset if labels is None else str(labels),
        "split": (split or model.split) if labels is None else None,
        "count": count,
        "image_size": list(model.image_size),
        "sizing": {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in model.sizing.items()
        },
        "pictures": "uint8, as written to PNG",
        "style": style,
        "num_styles": num_styles,
        "seed": seed,
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
