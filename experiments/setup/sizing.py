"""The size that an experiment gives to pictures and maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.setup.config import Config
from experiments.setup.validation import UPSAMPLING_LAYERS
from pipelines.reading.preprocess import KEEP_SHAPE


def sizing_options(config: Config | Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for `pipelines.reading.sizing` and `make_dataset`, in training and evaluation.

    Args:
        config: configuration of the experiment, or an export's dictionary of it.

    Returns:
        `preprocess`, `load_size`, `crop_size`, `multiple` and `one_size`.
    """
    values = config.to_dict() if isinstance(config, Config) else config
    data, generator = values["data"], values["generator"]
    size = (data["height"], data["width"])
    return {
        "preprocess": data.get("preprocess", "resize_and_crop"),
        "load_size": (data.get("load_height", size[0]), data.get("load_width", size[1])),
        "crop_size": size,
        "multiple": UPSAMPLING_LAYERS[generator.get("num_upsampling_layers", "normal")],
        # A generator that starts from a style has a dense layer, so it makes only one size.
        "one_size": bool(generator.get("z_dim"))
        and generator.get("architecture", "spade") == "spade"
        and generator.get("conditioning", "spade") != "adain",
    }


def photograph_shape(config: Config) -> str:
    """How an export sizes photographs for its encoder, in the same way as `sized`.

    Returns:
        "crop": crop the middle; "cover": scale until the size is covered, then crop the middle;
        "stretch": scale to the size.
    """
    options = sizing_options(config)
    preprocess = options["preprocess"]
    if preprocess == "crop":
        return "crop"
    if preprocess in ("resize_and_crop", "fixed"):
        return "stretch"
    return "cover" if options["one_size"] or preprocess not in KEEP_SHAPE else "stretch"


def sized(example: Mapping[str, np.ndarray], options: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Scales a picture, its maps, or both to their size in evaluation.

    `generate` and evaluation use this same rule; see the table in `pipelines.reading.sizing`.

    Args:
        example: some of `image` `[H, W, 3]` in 0..255, `label` and `instance`, uint16 `[H, W]`,
            and `condition` float32 `[H, W, C]`.
        options: the result of `sizing_options`.

    Returns:
        The same keys: `image` and `condition` float32, ids int32.

    Raises:
        DataError: if maps are too small for a crop without scaling.
    """
    import tensorflow as tf

    from pipelines.reading.sizing import evaluation_sizing

    tensors = {key: tf.convert_to_tensor(value) for key, value in example.items()}
    for operation in evaluation_sizing(**options):
        tensors = operation(tensors)
    ids = ("label", "instance")
    return {
        key: value.numpy().astype(np.int32 if key in ids else np.float32)
        for key, value in tensors.items()
    }
