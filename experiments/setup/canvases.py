"""Composes canvases of label maps from files, for models that see a canvas beside the map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from experiments.setup.predictors import Model

Maps = Mapping[str, np.ndarray]


def canvas_maker(model: Model) -> Callable[[Maps], dict[str, np.ndarray]]:
    """A function that adds to the maps of a layout what the model sees beside them.

    Args:
        model: the model that makes the pictures.

    Returns:
        Function from `label` integer `[H, W]`, and `instance` where there is one, to these and
        `canvas` float32 `[H, W, 4]`, 0 to 1, of segments of the model's training pictures. Of a
        model that sees no canvas, it adds nothing.

    Raises:
        DataError: if the data set is not there.
    """
    if not model.use_canvas:
        return dict
    from pipelines.collage.canvas import compose
    from pipelines.collage.storage import load_bank
    from pipelines.reading.prepared import find_dataset

    # Models that see a canvas are those of workdirs, which know where it is.
    assert model.data_dir is not None
    bank = load_bank(find_dataset(model.dataset, model.data_dir))

    def add(maps: Maps) -> dict[str, np.ndarray]:
        canvas = compose(bank, maps["label"], maps.get("instance"))
        return {**maps, "canvas": canvas.astype(np.float32) / np.float32(255)}

    return add
