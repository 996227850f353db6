"""Label maps of the built-in landscapes, drawn where a model's data set is not at hand."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.setup.layouts import Layout
from experiments.setup.predictors import Model


def draws_layouts(model: Model) -> bool:
    """Whether label maps of a model are drawn where none are given.

    They are for an export of the built-in landscapes, which does not say where its data set is.
    """
    from pipelines import landscapes

    drawable = landscapes.can_draw(model.labels.class_names, *model.image_size)
    return model.data_dir is None and drawable


def drawn_layouts(model: Model, count: int) -> tuple[int, Iterator[Layout]]:
    """The first maps of the validation split of the built-in landscapes, drawn anew.

    Args:
        model: a model of these classes; see `draws_layouts`.
        count: int, how many.

    Returns:
        How many there are, and the maps one after the other.
    """
    from pipelines import landscapes

    def layouts() -> Iterator[Layout]:
        for index in range(landscapes.FIRST_VAL_INDEX, landscapes.FIRST_VAL_INDEX + count):
            drawn = landscapes.render(0, index, *model.image_size)
            maps = {"label": drawn.label.astype("int32")}
            if model.use_instance:
                maps["instance"] = drawn.instance.astype("int32")
            yield Layout(landscapes.example_name(index, drawn.time_of_day), maps)

    return count, layouts()
