"""The data sets by name, and how their builders are made."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.schema import DataError
from pipelines.sources.folders import LAYOUTS

if TYPE_CHECKING:
    from pipelines.sources.builders.sharded import ShardedBuilder

_CLASSES = {
    "paired_folder": "PairedFolder",
    "manifest": "Manifest",
    "coco_stuff": "CocoStuff",
    "ade20k": "ADE20K",
    "cityscapes": "Cityscapes",
    "flickr_landscapes": "FlickrLandscapes",
    "facades": "Facades",
    "landscapes": "Landscapes",
}

DATASETS = tuple(_CLASSES)


def make_builder(
    dataset: str,
    *,
    data_dir: str | os.PathLike[str] | None,
    source_dir: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
) -> ShardedBuilder:
    """Makes the builder of a data set.

    Args:
        dataset: one of `DATASETS`.
        data_dir: the folder that prepared data sets are kept in.
        source_dir: the folder, or the file, that the data set is made from.
        options: further arguments of the builder; those that are None are not passed on.

    Raises:
        DataError: if there is no such data set, it takes no such option, or it is not what its
            layout says.
    """
    if dataset not in _CLASSES:
        raise DataError(f"dataset: {dataset!r} received; give one of {', '.join(DATASETS)}")
    module = importlib.import_module(f"pipelines.sources.builders.{dataset}")
    builder = getattr(module, _CLASSES[dataset])
    taken = inspect.signature(builder.__init__).parameters
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name not in taken:
            raise DataError(f"{name}: {value!r} received, but {dataset} takes none; leave it out")
    if "source_dir" in taken:
        if source_dir is None:
            raise DataError(
                f"source_dir: not given; pass --source_dir=DIR with the layout {LAYOUTS[dataset]}"
            )
        given["source_dir"] = source_dir
    elif source_dir is not None:
        raise DataError(f"source_dir: {source_dir} received, but {dataset} is drawn; leave it out")
    return builder(data_dir=data_dir, **given)
