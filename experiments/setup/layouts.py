"""Layouts: label maps or continuous maps to make pictures of, from files or from a data set."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from experiments.setup.canvases import canvas_maker
from experiments.setup.config import ConfigError
from experiments.setup.sizing import sized
from pipelines.schema import BadFileError
from pipelines.sources.wording import counted

if TYPE_CHECKING:
    import tensorflow as tf

    from experiments.setup.predictors import Model

_Item = TypeVar("_Item")

# The keys of maps.
MAPS = ("label", "condition", "instance", "canvas")


class Layout(NamedTuple):
    """A map to make pictures of.

    Attributes:
        name: name of the files to write.
        maps: `label` int32 `[H, W]`, or, for models of continuous maps, `condition` float32
            `[H, W, C]`, 0 to 1; and `instance` int32 `[H, W]` and `canvas` float32 `[H, W, 4]`,
            if there are any.
    """

    name: str
    maps: dict[str, np.ndarray]


def folder_layouts(
    model: Model,
    folder: str | os.PathLike[str],
    instances: str | os.PathLike[str] | None,
    max_labels: int | None,
) -> tuple[int, Iterator[Layout]]:
    """The maps of a folder, read like those that the model was trained on.

    Every file is read and checked first, so that a bad one is found before there are pictures.
    Then each is read again when it is its turn: one map is in memory at a time.

    Args:
        model: the model that makes the pictures.
        folder: folder of PNGs.
        instances: folder of instance PNGs with the same names; or None.
        max_labels: int, how many at most; None for all.

    Returns:
        How many there are, and the maps one after the other, sorted by name.

    Raises:
        ConfigError: if `instances` is given but has no map for a label map.
        DataError: if a file cannot be used.
    """
    from pipelines.sources.listing import list_images

    kind = "continuous map" if model.labels.condition_channels else "label map"
    files = sorted(list_images(Path(folder), f"a folder of {kind} PNGs", maps=True).items())[
        :max_labels
    ]
    edges = {}
    if instances is not None and model.use_instance:
        edges = list_images(Path(instances), "a folder of instance PNGs", maps=True)
        missing = [stem for stem, _ in files if stem not in edges]
        if missing:
            raise ConfigError(
                f"--instances={instances}: no instance map for {missing[0]} "
                f"(of {len(missing)} without one); name them as the {kind}s"
            )
    paths = [(stem, path, edges.get(stem)) for stem, path in files]
    from tqdm import tqdm

    for _, path, instance in tqdm(paths, "checking", unit="map", disable=not sys.stderr.isatty()):
        _read_maps(model, path, instance)
    completed = canvas_maker(model)
    return len(paths), (
        Layout(stem, sized(completed(_read_maps(model, path, instance)), model.sizing))
        for stem, path, instance in paths
    )


def _read_maps(model: Model, path: Path, instance: Path | None) -> dict[str, np.ndarray]:
    """The maps of one layout, checked, of the size of their files."""
    from pipelines.sources.pictures import read_instances

    maps = read_map(model, path)
    if instance is not None:
        (shape,) = (value.shape[:2] for value in maps.values())
        maps["instance"] = read_instances(instance)
        check_same_size(maps["instance"].shape, instance, shape, path)
    check_not_smaller(model, maps, path)
    return maps


def grouped(
    items: Iterable[_Item], size: int, kind: Callable[[_Item], Any]
) -> Iterator[list[_Item]]:
    """Groups items that follow one another and are of one kind.

    Args:
        items: any number; at most `size` are held at a time.
        size: int >= 1, largest number of a group.
        kind: what items of one group have in common, such as their shape.
    """
    waiting: list[_Item] = []
    for item in items:
        if waiting and (len(waiting) == size or kind(item) != kind(waiting[0])):
            yield waiting
            waiting = []
        waiting.append(item)
    if waiting:
        yield waiting


def read_map(model: Model, path: Path) -> dict[str, np.ndarray]:
    """Reads a label map or a continuous map as `prepare` does.

    Args:
        model: the model whose data set says how to read it.
        path: the PNG.

    Returns:
        `label` uint16 `[H, W]`, or `condition` float32 `[H, W, C]`, 0 to 1.

    Raises:
        BadFileError: if it cannot be used.
    """
    from pipelines.sources.label_files import read_label

    if not model.labels.condition_channels:
        try:
            return {"label": read_label(path, model.labels)[0]}
        except BadFileError as error:
            remedy = "give label maps like those that the model's data set was prepared from"
            raise BadFileError(path, error.kind, f"{error.found}; {remedy}") from error
    import tensorflow as tf

    from pipelines.sources.pictures import read_condition

    encoded, shape, bits = read_condition(path)
    channels = model.labels.condition_channels
    if shape[2] != channels:
        raise BadFileError(
            path, "bit depth", f"{shape[2]} channels, and this model takes {channels}; convert it"
        )
    dtype = tf.uint8 if bits == 8 else tf.uint16
    condition = tf.io.decode_png(encoded, channels, dtype).numpy()
    return {"condition": condition.astype(np.float32) / np.float32(dtype.max)}


def open_model_data(model: Model, data_dir: str | None) -> Any:
    """The data set that a model was trained on, as a TFDS builder.

    Args:
        model: the model.
        data_dir: where its data set was prepared; None for where it was during training.

    Raises:
        ConfigError: if there is no such folder, or its data set has other classes.
        DataError: if its data set is not there.
    """
    from pipelines.reading.prepared import find_dataset, open_directory

    data_dir = data_dir or model.data_dir
    if data_dir is None:
        raise ConfigError(
            "--data_dir: an export does not say where its data set is; give the folder of the data "
            "set, or a folder of maps with --labels"
        )
    if data_dir == model.data_dir and not Path(data_dir).is_dir():
        raise ConfigError(
            f"--data_dir: the data set of this model was prepared in {data_dir}, and that "
            "folder is not there; give its place with --data_dir, or a folder of maps with --labels"
        )
    builder = open_directory(find_dataset(model.dataset, data_dir))
    names = (builder.info.metadata or {}).get("class_names", ())
    found = differing_classes(names, model.labels.class_names)
    if found:
        raise ConfigError(
            f"--data_dir={data_dir}: {model.dataset} has {found[0]}, and the model was trained on "
            f"{found[1]}; give the data set that it was trained on"
        )
    return builder


def differing_classes(one: Sequence[str], other: Sequence[str]) -> tuple[str, str] | None:
    """What two lists of classes differ in, for an error; None if they are equal."""
    if len(one) != len(other):
        return counted(len(one), "class"), str(len(other))
    for index, (a, b) in enumerate(zip(one, other, strict=True)):
        if a != b:
            return f"{a!r} as class {index}", repr(b)
    return None


def single_batches(model: Model, builder: Any, split: str) -> tf.data.Dataset:
    """The examples of a split at the model's size, in batches of one.

    Args:
        model: the model that makes the pictures.
        builder: of its data set.
        split: name of the split.
    """
    from pipelines.reading.input_pipeline import make_dataset

    return make_dataset(
        builder,
        split,
        batch_size=1,
        with_instance=model.use_instance,
        with_canvas=model.use_canvas,
        **model.sizing,
    )


def dataset_layouts(model: Model, data_dir: str | None, count: int) -> tuple[int, Iterator[Layout]]:
    """The first maps of the held-out split of a model's data set.

    Args:
        model: the model that makes the pictures.
        data_dir: where its data set was prepared; None for where it was during training.
        count: int, how many at most.

    Returns:
        How many there are, and the maps one after the other.

    Raises:
        ConfigError: if there is no such folder.
        DataError: if its data set is not there.
    """
    builder = open_model_data(model, data_dir)
    split = model.split if model.split in builder.info.splits else "train"
    names = safe_names(builder, split, count)

    def layouts() -> Iterator[Layout]:
        batches = single_batches(model, builder, split).take(count)
        for name, batch in zip(names, batches, strict=True):
            keys = [key for key in MAPS if key in batch]
            yield Layout(name, {key: batch[key][0].numpy() for key in keys})

    return len(names), layouts()


def safe_names(builder: Any, split: str, count: int) -> list[str]:
    """Names of the first examples of a split, each a path that stays in its folder.

    Args:
        builder: of the data set.
        split: name of the split.
        count: int, how many at most.
    """
    from pipelines.reading.input_pipeline import record_names

    # A list of files may give any name; pictures stay in their folder.
    return [
        f"{split}_{index:03d}"
        if not name or name.startswith("/") or ".." in name.split("/")
        else name
        for index, name in enumerate(record_names(builder, split, count))
    ]


def shown_map(maps: Mapping[str, np.ndarray], palette: Sequence[Sequence[int]]) -> np.ndarray:
    """A map as a picture: the colours of its classes, or its first channels."""
    from spade_tf.training.pictures import colorize, to_uint8

    if "label" in maps:
        return colorize(maps["label"], palette)
    condition = maps["condition"]
    channels = [0, 1, 2] if condition.shape[-1] >= 3 else [0, 0, 0]
    return to_uint8(2.0 * condition[..., channels] - 1.0)


def shown_maps(
    maps: Mapping[str, np.ndarray], palette: Sequence[Sequence[int]]
) -> dict[str, np.ndarray]:
    """All that a model sees of a layout, as pictures by name.

    Args:
        maps: see `Layout`.
        palette: an RGB colour in 0..255 per label id.

    Returns:
        `label map`, see `shown_map`; and `canvas`, if there is one, over grey checks where no
        segment covers it. uint8 `[H, W, 3]` each.
    """
    from spade_tf.training.pictures import over_checks

    shown = {"label map": shown_map(maps, palette)}
    return shown | ({"canvas": over_checks(maps["canvas"])} if "canvas" in maps else {})


def check_same_size(shape: Any, path: Any, wanted: Any, label_path: Any) -> None:
    """Raises a BadFileError if a file has another `(height, width)` than the one it goes with."""
    if shape != wanted:
        raise BadFileError(
            path,
            "size mismatch",
            f"{shape[1]}x{shape[0]} pixels (width x height), but {label_path} has "
            f"{wanted[1]}x{wanted[0]}; scale one to the other, by nearest neighbour",
        )


def check_not_smaller(model: Model, maps: Mapping[str, np.ndarray], path: Path) -> None:
    """Raises a BadFileError if a file is smaller than the crop that the model takes of it."""
    options = model.sizing
    height, width = next(iter(maps.values())).shape[:2]
    if options["preprocess"] != "crop" or np.all(np.array([height, width]) >= options["crop_size"]):
        return
    wanted = options["crop_size"]
    raise BadFileError(
        path,
        "too small",
        f"{width}x{height} pixels (width x height), and this model takes crops of "
        f"{wanted[1]}x{wanted[0]} of files as they are; give a larger one",
    )
