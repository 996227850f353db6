"""The data sets by name, and how their builders are made."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from pipelines.schema import ArgumentError
from pipelines.sources.folders import FOLDERS
from pipelines.sources.palettes import palette_options

if TYPE_CHECKING:
    from pipelines.sources.builders.base import SourceBuilder

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


class SourceOptions(TypedDict, total=False):
    """How the source files of a data set are found and read.

    Each data set takes some of these. None is the same as leaving an option out.

    Attributes:
        config: which configuration of the data set, such as `"outdoor"` of `"ade20k"`.
        num_classes: number of classes, unknown not counted.
        class_names: names of the classes, id 0 first.
        palette: for label maps that hold colours: one of `pipelines.sources.palettes.PALETTES`, or
            a file of colours. `"indices"` for files with palettes whose indices are the ids.
        off_palette: `"stop"` refuses colours off the palette, `"unknown"` makes them unknown and
            counts them.
        image_files: pattern of the photographs of `"paired_folder"`; see
            `pipelines.sources.patterns`.
        label_files: pattern of the label maps.
        instance_files: pattern of the instance maps.
        segmenter: the network that labels `"flickr_landscapes"`.
        segmenter_scale: factor on the pixels that it is given.
        segmenter_offset: added to them afterwards.
        height: height of the pictures of `"landscapes"`, in pixels.
        width: width of the pictures of `"landscapes"`, in pixels.
        num_train: number of `"landscapes"` to train on.
        num_val: number of `"landscapes"` to evaluate on.
        seed: of `"landscapes"`: the same seed draws the same pictures.
    """

    config: str | None
    num_classes: int | None
    class_names: Sequence[str] | None
    palette: str | os.PathLike[str] | None
    off_palette: str | None
    image_files: str | None
    label_files: str | None
    instance_files: str | None
    segmenter: str | os.PathLike[str] | None
    segmenter_scale: float | None
    segmenter_offset: float | None
    height: int | None
    width: int | None
    num_train: int | None
    num_val: int | None
    seed: int | None


def make_builder(
    dataset: str,
    *,
    data_dir: str | os.PathLike[str] | None,
    source_dir: str | os.PathLike[str] | None,
    options: SourceOptions,
    skip_bad_files: bool = False,
) -> SourceBuilder:
    """Makes the builder of a data set.

    Args:
        dataset: one of `DATASETS`.
        data_dir: the folder of prepared data sets.
        source_dir: the folder of the source files, or the file that lists them.
        options: how they are found and read.
        skip_bad_files: whether bad files are left out and listed, instead of stopping for them.

    Raises:
        DataError: if there is no such data set, it takes no such option, or its files do not lie
            where they should.
    """
    off_palette = options.get("off_palette") or "stop"
    if off_palette not in ("stop", "unknown"):
        raise ArgumentError("off_palette", f"{off_palette!r} received; give stop or unknown")
    builder_options: dict[str, Any] = {**options, **palette_options(options.get("palette"))}
    builder_options["off_palette_unknown"] = True if off_palette == "unknown" else None
    # The seed of data sets that draw nothing is never looked at.
    builder_options["seed"] = options.get("seed") or None
    builder_options.pop("off_palette", None)

    if dataset not in _CLASSES:
        raise ArgumentError("dataset", f"{dataset!r} received; give one of {', '.join(DATASETS)}")
    module = importlib.import_module(f"pipelines.sources.builders.{dataset}")
    builder = getattr(module, _CLASSES[dataset])
    taken = inspect.signature(builder.__init__).parameters
    given = {name: value for name, value in builder_options.items() if value is not None}
    for name, value in given.items():
        if name not in taken:
            raise ArgumentError(name, f"{value!r} received, but {dataset} takes none; leave it out")
    if "source_dir" in taken:
        if source_dir is None:
            raise ArgumentError(
                "source_dir",
                f"not given; pass --source_dir=DIR with these files: {FOLDERS[dataset]}",
            )
        given["source_dir"] = source_dir
    elif source_dir is not None:
        raise ArgumentError(
            "source_dir", f"{source_dir} received, but {dataset} is drawn; leave it out"
        )
    if skip_bad_files and "skip_bad_files" in taken:
        given["skip_bad_files"] = True
    return builder(data_dir=data_dir, **given)
