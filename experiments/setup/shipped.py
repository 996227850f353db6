"""The trained model of the built-in landscapes that comes with a clone, and layouts for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from experiments.setup.config import ConfigError
from experiments.setup.layouts import Layout
from experiments.setup.predictors import Model

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


def draws_layouts(model: Model) -> bool:
    """Whether label maps of a model are drawn where none are given.

    They are for an export of the built-in landscapes, which does not say where its data set is.
    """
    from pipelines import landscapes

    if model.data_dir is not None or tuple(model.labels.class_names) != landscapes.CLASS_NAMES:
        return False
    try:
        landscapes.check(0, 0, *model.image_size)
    except ValueError:
        return False
    return True


def drawn_layouts(model: Model, count: int) -> tuple[int, Iterator[Layout]]:
    """The first maps of the validation split of the built-in landscapes, drawn anew.

    Args:
        model: a model of these classes; see `draws_layouts`.
        count: int, how many.

    Returns:
        How many there are, and the maps one after the other.
    """
    from pipelines import landscapes
    from pipelines.sources.builders.landscapes import FIRST_VAL_INDEX

    def layouts() -> Iterator[Layout]:
        for index in range(FIRST_VAL_INDEX, FIRST_VAL_INDEX + count):
            drawn = landscapes.render(0, index, *model.image_size)
            maps = {"label": drawn.label.astype("int32")}
            if model.use_instance:
                maps["instance"] = drawn.instance.astype("int32")
            yield Layout(f"{index:07d}_{drawn.time_of_day}", maps)

    return count, layouts()
