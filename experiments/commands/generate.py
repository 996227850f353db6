"""Makes pictures from label maps, or continuous maps, with a trained model."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from experiments.setup.config import ConfigError
from experiments.setup.drawn_layouts import drawn_layouts, draws_layouts
from experiments.setup.layouts import (
    Layout,
    dataset_layouts,
    folder_layouts,
    grouped,
    shown_maps,
)
from experiments.setup.output import check_writable
from experiments.setup.picture_styles import (
    StyleSource,
    check_classes_are_there,
    check_style_files,
    styles_of,
    wanted_styles,
)
from experiments.setup.predictors import Model, find_model, make_pictures
from experiments.setup.shipped import shipped_model
from pipelines.sources.wording import counted

# Rows of overview.png: as many as fit a glance.
_SHOWN = 16
_DRAWN = StyleSource()


def generate(
    model: str | os.PathLike[str] | None = None,
    *,
    endpoint: str | None = None,
    model_name: str | None = None,
    output_dir: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    instances: str | os.PathLike[str] | None = None,
    styles: StyleSource = _DRAWN,
    seed: int | None = None,
    num_samples: int = 1,
    max_labels: int | None = None,
    data_dir: str | None = None,
    batch_size: int = 8,
) -> list[Path]:
    """Writes a PNG per label map and sample, and `overview.png`, which shows the first ones.

    Maps are read and pictures written batch by batch, so that memory does not grow with their
    number. A file that cannot be used is found before there are pictures.

    Args:
        model: the workdir of a training run, or an exported SavedModel; None with an `endpoint`,
            or for the model of landscapes that comes with a clone.
        endpoint: server to ask instead: `grpc://HOST:PORT` or `http://HOST:PORT`.
        model_name: name of the model on that server.
        output_dir: folder for the pictures: `NAME.png`, or `NAME_K.png` for several samples. NAME
            is that of the label map's file.
        labels: folder of label map PNGs like those that the data set was prepared from (ids, or
            colours of its palette), or of continuous maps where the model takes them; None for
            the maps of the validation split of the data set that the model was trained on. They
            are drawn anew for an export of the built-in landscapes.
        instances: folder of instance PNGs with the same names, or None.
        styles: photographs whose styles the pictures get, or the class whose style is drawn anew;
            by default, whole styles are drawn.
        seed: int, seed of drawn styles, None for 0; sample `k` has the style of `seed + k`, the
            same as on a server.
        num_samples: int >= 1, pictures per label map, in different styles.
        max_labels: int >= 1, how many label maps; None for all (8 of a prepared data set).
        data_dir: where the data set is, if it was moved.
        batch_size: int >= 1, most pictures to make at once.

    Returns:
        The paths of the pictures.

    Raises:
        ConfigError: if an argument cannot be used.
        DataError: if a file cannot.
        ServingError: if a server does not answer.
    """
    _check_counts(num_samples=num_samples, max_labels=max_labels, batch_size=batch_size)
    output_dir = Path(output_dir)
    check_writable(output_dir)
    _check_files(labels, instances)
    check_style_files(styles)
    if model is None and endpoint is None:
        model = shipped_model()
    loaded = find_model(model, endpoint, model_name)
    wanted = wanted_styles(loaded, styles, seed, num_samples)
    if instances is not None and not loaded.use_instance:
        raise ConfigError(
            f"--instances={instances}: no effect, as this model sees no instances; leave it out"
        )

    def read() -> tuple[int, Iterator[Layout]]:
        if labels is not None:
            return folder_layouts(loaded, labels, instances, max_labels)
        if data_dir is None and draws_layouts(loaded):
            return drawn_layouts(loaded, max_labels or 8)
        return dataset_layouts(loaded, data_dir, max_labels or 8)

    count, layouts = read()
    if wanted.classes:
        check_classes_are_there(loaded, wanted, layouts, styles)
        # That one was read to its end.
        count, layouts = read()
    vectors = styles_of(loaded, wanted)
    pictures = _pictures(loaded, layouts, vectors, num_samples, batch_size)
    return _write(pictures, output_dir, loaded.labels.palette, count, num_samples)


def _write(
    pictures: Iterator[tuple[Layout, int, np.ndarray]],
    output_dir: Path,
    palette: Sequence[tuple[int, int, int]],
    count: int,
    num_samples: int,
) -> list[Path]:
    """Writes the pictures of `count` label maps, and `overview.png`; returns their paths."""
    from tqdm import tqdm

    from spade_tf.training.pictures import write_png

    paths: list[Path] = []
    overview: list[list[np.ndarray]] = []
    sizes: dict[str, None] = {}
    for layout, index, picture in tqdm(
        pictures, total=count * num_samples, unit="picture", disable=not sys.stderr.isatty()
    ):
        if len(paths) < _SHOWN * num_samples:
            if index == 0:
                overview.append([*shown_maps(layout.maps, palette).values()])
            # A part of a batch would keep all of it in memory.
            overview[-1].append(picture.copy())
        suffix = f"_{index}" if num_samples > 1 else ""
        sizes[f"{picture.shape[1]}x{picture.shape[0]}"] = None
        # Label maps in subfolders give pictures in the same subfolders.
        paths.append(output_dir / f"{layout.name}{suffix}.png")
        write_png(paths[-1], picture)
    _write_overview(overview, paths, output_dir, count, tuple(sizes))
    return paths


def _write_overview(
    rows: list[list[np.ndarray]],
    paths: list[Path],
    output_dir: Path,
    count: int,
    sizes: Sequence[str],
) -> None:
    """Writes a picture of the first pictures beside their maps, of `count` maps, and says so.

    It names the size of the pictures, since that of the maps may be another.
    """
    from spade_tf.training.pictures import grid, write_png

    path = output_dir / f"{_free_name('overview', paths, output_dir)}.png"
    write_png(path, grid(_columns(rows)))
    shown = (
        ("them" if len(paths) > 1 else "it")
        if count <= _SHOWN
        else f"the first {_SHOWN * len(paths) // count}"
    )
    print(
        f"{counted(len(paths), 'picture')} of {sizes[0]}{' and other sizes' if sizes[1:] else ''} "
        f"in {output_dir}; {path.name} shows {shown} beside "
        f"{'their' if len(paths) > 1 else 'its'} label map{'s' if count > 1 else ''}",
        file=sys.stderr,
    )


def _pictures(
    model: Model,
    layouts: Iterator[Layout],
    styles: np.ndarray | None,
    num_samples: int,
    batch_size: int,
) -> Iterator[tuple[Layout, int, np.ndarray]]:
    """Pictures uint8 `[H, W, 3]`, with their layout and the number of their sample.

    All samples of a layout follow one another. A batch holds several layouts in all their styles,
    or some styles of one layout.
    """
    for group in grouped(layouts, max(batch_size // num_samples, 1), _shapes):
        maps = {key: np.stack([each.maps[key] for each in group]) for key in group[0].maps}
        for start in range(0, num_samples, batch_size):
            z = None if styles is None else styles[start : start + batch_size]
            z = None if z is None else np.repeat(z[None], len(group), 0)
            made = make_pictures(model, [layout.name for layout in group], maps, z)
            for layout, samples in zip(group, made, strict=True):
                for index, picture in enumerate(samples, start):
                    yield layout, index, picture


def _shapes(layout: Layout) -> dict[str, tuple[int, ...]]:
    return {key: value.shape for key, value in layout.maps.items()}


def _check_counts(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ConfigError(f"--{name}={count}: give 1 or more")


def _check_files(labels, instances) -> None:
    """Raises a ConfigError if files are not there, before a model is loaded or a server asked."""
    for name, folder in (("labels", labels), ("instances", instances)):
        if folder is not None and not Path(folder).is_dir():
            raise ConfigError(f"--{name}={folder}: no such folder; give a folder of maps")


def _free_name(name: str, paths: list[Path], output_dir: Path) -> str:
    """The name, with underscores added if a picture has this name."""
    # Some file systems do not distinguish capitals from small letters.
    taken = {str(path.relative_to(output_dir).with_suffix("")).lower() for path in paths}
    while name in taken:
        name += "_"
    return name


def _columns(rows):
    """Puts two label maps in a row if there are many with one picture each."""
    if len(rows[0]) == 2 and len(rows) > 3 and len(rows) % 2 == 0:
        return [first + second for first, second in zip(rows[::2], rows[1::2], strict=True)]
    return rows
