"""SegFormer, which finds classes in pictures, and the files that `segment` keeps it in."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.setup.config import ConfigError
from pipelines.schema import LabelSet

# SegFormer-B0 (Xie et al. 2021, table 6).
B0 = {
    "layerwise_depths": [2, 2, 2, 2],
    "layerwise_num_heads": [1, 2, 5, 8],
    "layerwise_sr_ratios": [8, 4, 2, 1],
    "hidden_dims": [32, 64, 160, 256],
    "layerwise_patch_sizes": [7, 3, 3, 3],
    "layerwise_strides": [4, 2, 2, 2],
}
WEIGHTS, DESCRIPTION = "segmenter.npz", "segmenter.json"


def make_network(num_classes: int, image_size: tuple[int, int]) -> Any:
    """SegFormer-B0 with random weights.

    Args:
        num_classes: int >= 1.
        image_size: height and width in pixels.

    Returns:
        A Keras model from `[B, H, W, 3]` in [-1, 1] to logits `[B, H, W, num_classes]`.

    Raises:
        ConfigError: if KerasHub is not installed; the message has the command.

    Reference: Xie et al. 2021, https://arxiv.org/abs/2105.15203.
    """
    try:
        from keras_hub import models
    except ImportError as error:
        raise ConfigError(
            f"segmenters are KerasHub's ({error}); install it: pip install 'spade-tf[evaluate]'"
        ) from error
    encoder = models.MiTBackbone(
        num_layers=4, max_drop_path_rate=0.1, image_shape=(*image_size, 3), **B0
    )
    backbone = models.SegFormerBackbone(image_encoder=encoder, projection_filters=256)
    return models.SegFormerImageSegmenter(backbone=backbone, num_classes=num_classes)


def read_description(workdir: str | os.PathLike[str]) -> Mapping[str, Any]:
    """What the `segmenter.json` of a workdir of `segment` says.

    Args:
        workdir: of a finished training.

    Raises:
        ConfigError: if it is none.
    """
    folder = Path(workdir)
    try:
        content = json.loads((folder / DESCRIPTION).read_text())
        LabelSet.from_metadata(content["labels"])
        tuple(content["image_size"])
        content["validation"]["mean_iou"]
        return content
    except FileNotFoundError:
        raise ConfigError(
            f"--segmenter={folder}: no {DESCRIPTION} in it; give the workdir of a finished "
            "`segment`"
        ) from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"--segmenter={folder}: {DESCRIPTION} cannot be read ({error}); give the workdir of a "
            "finished `segment`"
        ) from error


def load_network(workdir: str | os.PathLike[str]) -> tuple[Any, Mapping[str, Any]]:
    """The network of a workdir of `segment`, and what its `segmenter.json` says.

    Args:
        workdir: of a finished training.

    Raises:
        ConfigError: if it is none, or the weights do not fit.
    """
    folder = Path(workdir)
    content = read_description(folder)
    labels = LabelSet.from_metadata(content["labels"])
    if not zipfile.is_zipfile(folder / WEIGHTS):
        raise ConfigError(f"--segmenter={folder}: {WEIGHTS} is missing or damaged; train it again")
    network = make_network(labels.num_classes, tuple(content["image_size"]))
    try:
        with np.load(folder / WEIGHTS, allow_pickle=False) as arrays:
            network.set_weights([arrays[f"arr_{index}"] for index in range(len(arrays.files))])
    except (OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"--segmenter={folder}: {WEIGHTS} does not fit "
            f"({' '.join(str(error).split())[:200]}); train it again"
        ) from error
    return network, content
