"""Real pictures with their maps: what generated pictures are compared with."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from experiments.commands.evaluate.options import Pictures
from experiments.setup.canvases import canvas_maker
from experiments.setup.config import ConfigError
from experiments.setup.layouts import (
    MAPS,
    grouped,
    open_model_data,
    read_map,
    safe_names,
    single_batches,
)
from experiments.setup.predictors import Model
from experiments.setup.sizing import sized
from pipelines.reading.attributes import attribute_of
from pipelines.schema import BadFileError
from spade_tf.training.pictures import to_uint8


class Pair(NamedTuple):
    """A real picture and the map that the model gets.

    Attributes:
        name: of the file.
        maps: `label` int32 `[H, W]` or `condition` float32 `[H, W, C]`; and `instance` and
            `canvas` where there are any.
        image: uint8 `[H, W, 3]`.
        attribute: int, value of the data set's attribute; -1 if there is none, or it is unknown.
    """

    name: str
    maps: dict[str, np.ndarray]
    image: np.ndarray
    attribute: int = -1


class Batch(NamedTuple):
    """Pairs of one size, stacked."""

    names: list[str]
    maps: dict[str, np.ndarray]
    images: np.ndarray
    attributes: np.ndarray


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs in their order.

    Attributes:
        count: how many there are.
        pairs: read one by one.
        warnings: what to tell the user of them.
    """

    count: int
    pairs: Iterator[Pair]
    warnings: list[str]


def find_pairs(model: Model, pictures: Pictures) -> Pairs:
    """The pairs that an evaluation is asked for.

    Args:
        model: which tells how maps are read, and how pictures get their size.
        pictures: which pairs.

    Raises:
        ConfigError: if there is no such folder or split, a map has no photograph, or there are
            fewer than two pairs.
        DataError: if the data set is not there, or a file cannot be used.
    """
    if pictures.labels is not None and pictures.images is not None:
        found = folder_pairs(model, pictures.labels, pictures.images, pictures.instances)
    else:
        found = Pairs(*split_pairs(model, pictures.data_dir, pictures.split), [])
    count = min(found.count, pictures.max_images or found.count)
    if count < 2:
        raise ConfigError(
            f"{pictures.labels or 'the data set'}: {count} pair of picture and map; distances "
            "need 2 or more"
        )
    return Pairs(count, itertools.islice(found.pairs, count), found.warnings)


def split_pairs(
    model: Model, data_dir: str | None, split: str | None
) -> tuple[int, Iterator[Pair]]:
    """The pairs of a prepared data set, and how many there are.

    Args:
        model: which tells the data set, and how pictures get their size.
        data_dir: where the data set was prepared; None for where it was in the training.
        split: name of the split; None for the one that was held out.

    Raises:
        ConfigError: if there is no such folder or split.
        DataError: if its data set is not there.
    """
    builder = open_model_data(model, data_dir)

    wanted = split or model.split
    if wanted not in builder.info.splits:
        raise ConfigError(
            f"--split={wanted}: {model.dataset} has {', '.join(sorted(builder.info.splits))}; give "
            "one of these, or --labels and --images"
        )

    count = builder.info.splits[wanted].num_examples
    attribute = attribute_of(model.dataset)
    names = safe_names(builder, wanted, count)

    def pairs() -> Iterator[Pair]:
        for name, batch in zip(names, single_batches(model, builder, wanted), strict=True):
            maps = {key: batch[key][0].numpy() for key in MAPS if key in batch}
            image = to_uint8(batch["image"][0].numpy())
            yield Pair(name, maps, image, -1 if attribute is None else attribute.place(name))

    return count, pairs()


def folder_pairs(
    model: Model,
    labels: str | os.PathLike[str],
    images: str | os.PathLike[str],
    instances: str | os.PathLike[str] | None,
) -> Pairs:
    """The pairs of two folders, by the names of the files.

    Args:
        model: which tells how maps are read, and how pictures get their size.
        labels: folder of label maps, or of continuous maps.
        images: folder of photographs with the same names.
        instances: folder of instance maps with the same names, or None.

    Raises:
        ConfigError: if a folder is empty, or a map has no photograph.
        DataError: if a file cannot be used.
    """
    from pipelines.sources.listing import enumerate_few, list_images

    maps = list_images(Path(labels), "a folder of label maps", maps=True)
    photographs = list_images(Path(images), "a folder of photographs", maps=False)
    edges = (
        list_images(Path(instances), "a folder of instance maps", maps=True) if instances else {}
    )
    for flag, folder, files in (("images", images, photographs), ("instances", instances, edges)):
        missing = sorted(set(maps) - set(files)) if folder else []
        if missing:
            raise ConfigError(
                f"--{flag}={folder}: no file for the label map {missing[0]} (of {len(missing)} "
                "without one); name files as their label maps"
            )
    paths = [(name, maps[name], photographs[name], edges.get(name)) for name in sorted(maps)]
    unused = sorted(set(photographs) - set(maps))
    warnings = [f"{images}: no label map for {enumerate_few(unused)}; left out"] if unused else []
    # A bad file at the end should not cost the time of all pictures before it.
    for each in tqdm(paths, "checking", unit="pair", disable=not sys.stderr.isatty()):
        _read(model, *each[1:])
    completed = canvas_maker(model)
    return Pairs(len(paths), (_pair(model, completed, *each) for each in paths), warnings)


def _pair(
    model: Model,
    completed: Callable[..., dict[str, np.ndarray]],
    name: str,
    label: Path,
    image: Path,
    instance: Path | None,
) -> Pair:
    example = sized(completed(_read(model, label, image, instance)), model.sizing)
    picture = np.clip(np.rint(example.pop("image")), 0, 255).astype(np.uint8)
    return Pair(name, example, picture)


def _read(model: Model, label: Path, image: Path, instance: Path | None) -> dict[str, np.ndarray]:
    """A photograph and its maps, of the size of their files, which is checked to be one."""
    from pipelines.sources.inspection import decode_image
    from pipelines.sources.pictures import read_image, read_instances

    example = {"image": decode_image(read_image(image).encoded), **read_map(model, label)}
    if instance is not None and model.use_instance:
        example["instance"] = read_instances(instance)
    height, width = example["image"].shape[:2]
    for key, value in example.items():
        if value.shape[:2] != (height, width):
            rows, columns = value.shape[:2]
            raise BadFileError(
                instance if key == "instance" and instance is not None else label,
                "size mismatch",
                f"{columns}x{rows} pixels (width x height), but its photograph {image} has "
                f"{width}x{height}; scale the map to the photograph, by nearest neighbour",
            )
    return example


def batched(pairs: Iterable[Pair], size: int) -> Iterator[Batch]:
    """Groups pairs that follow one another and have one shape.

    Args:
        pairs: any number.
        size: int >= 1, largest number of a group.
    """
    for group in grouped(pairs, size, lambda pair: pair.image.shape):
        yield _stacked(group)


def _stacked(pairs: list[Pair]) -> Batch:
    maps = {key: np.stack([pair.maps[key] for pair in pairs]) for key in pairs[0].maps}
    return Batch(
        [pair.name for pair in pairs],
        maps,
        np.stack([pair.image for pair in pairs]),
        np.array([pair.attribute for pair in pairs]),
    )
