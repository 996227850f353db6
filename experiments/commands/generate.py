"""Makes pictures from label maps, or continuous maps, with a trained model."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from experiments.setup.config import ConfigError
from experiments.setup.layouts import (
    dataset_layouts,
    folder_layouts,
    read_photograph,
    shown_map,
)
from experiments.setup.output import check_writable
from experiments.setup.predictors import find_model
from pipelines.sources.wording import counted

# Most styles per call. More would gain little, and memory grows with the number of pictures.
_STYLES = 8


def generate(
    model: str | os.PathLike[str] | None = None,
    *,
    endpoint: str | None = None,
    model_name: str | None = None,
    output_dir: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    instances: str | os.PathLike[str] | None = None,
    style_image: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    num_samples: int = 1,
    max_labels: int | None = None,
    data_dir: str | None = None,
) -> list[Path]:
    """Writes a PNG per label map and sample, and `overview.png`: each map beside its pictures.

    Args:
        model: the workdir of a training run, or an exported SavedModel; None with an `endpoint`.
        endpoint: of a server to ask instead: `grpc://HOST:PORT` or `http://HOST:PORT`.
        model_name: as that server knows it.
        output_dir: where the pictures go: `NAME.png`, or `NAME_K.png` for several samples; NAME is
            that of the label map's file.
        labels: folder of label map PNGs like those that the data set was prepared from (ids, or
            colours of its palette), or of continuous maps where the model takes them; None for
            the maps of the validation split of the data set that the model was trained on.
        instances: folder of instance PNGs with the same names, or None.
        style_image: photograph whose style the pictures get; None for drawn styles.
        seed: int, seed of drawn styles, None for 0; sample `k` has the style of `seed + k`, the
            same as on a server.
        num_samples: int >= 1, pictures per label map, in different styles.
        max_labels: int >= 1, how many label maps; None for all (8 of a prepared data set).
        data_dir: where the data set is, if it was moved.

    Returns:
        The paths of the pictures.

    Raises:
        ConfigError: if an argument cannot be used.
        DataError: if a file cannot.
        ServingError: if a server does not answer.
    """
    from tqdm import tqdm

    from spade_tf.training.pictures import grid, write_png

    for name, count in (("num_samples", num_samples), ("max_labels", max_labels)):
        if count is not None and count < 1:
            raise ConfigError(f"--{name}={count}: give 1 or more")
    output_dir = Path(output_dir)
    check_writable(output_dir)
    _check_files(labels, instances, style_image)
    loaded = find_model(model, endpoint, model_name)
    _check_styles(loaded, style_image, seed, num_samples)
    if instances is not None and not loaded.use_instance:
        raise ConfigError(
            f"--instances={instances}: no effect, as this model sees no instances; leave it out"
        )
    if labels is not None:
        layouts = list(folder_layouts(loaded, labels, instances, max_labels))
    else:
        layouts = list(dataset_layouts(loaded, data_dir, max_labels or 8))

    styles = _styles(loaded, style_image, seed or 0, num_samples)
    paths, overview = [], []
    with tqdm(
        total=len(layouts) * num_samples, unit="picture", disable=not sys.stderr.isatty()
    ) as progress:
        for layout in layouts:
            row = [shown_map(layout.maps, loaded.labels.palette)]
            for start in range(0, num_samples, _STYLES):
                z = None if styles is None else styles[start : start + _STYLES]
                maps = {key: value[None] for key, value in layout.maps.items()}
                row += list(loaded.generate(maps, None if z is None else z[None])[0])
                progress.update(1 if z is None else len(z))
            for index, picture in enumerate(row[1:]):
                suffix = f"_{index}" if num_samples > 1 else ""
                paths.append(output_dir / f"{layout.name}{suffix}.png")
                # Label maps in subfolders give pictures in the same subfolders.
                paths[-1].parent.mkdir(parents=True, exist_ok=True)
                write_png(paths[-1], picture)
            overview.append(row)
    glance = output_dir / f"{_free_name('overview', paths, output_dir)}.png"
    write_png(glance, grid(_columns(overview)))
    print(
        f"{counted(len(paths), 'picture')} in {output_dir}; {glance.name} shows them beside their "
        "label maps",
        file=sys.stderr,
    )
    return paths


def _check_files(labels, instances, style_image) -> None:
    """Raises a ConfigError if files are not there, before a model is loaded or a server asked."""
    for name, folder in (("labels", labels), ("instances", instances)):
        if folder is not None and not Path(folder).is_dir():
            raise ConfigError(f"--{name}={folder}: no such folder; give a folder of maps")
    if style_image is not None and not Path(style_image).is_file():
        raise ConfigError(f"--style_image={style_image}: no such file; give a photograph")


def _check_styles(model, style_image, seed, num_samples) -> None:
    """Raises a ConfigError if the model cannot make the requested styles."""
    if style_image is not None and not model.has_encoder:
        raise ConfigError(f"--style_image={style_image}: this model has no encoder; leave it out")
    if style_image is not None and num_samples > 1:
        raise ConfigError(
            f"--num_samples={num_samples}: the photograph of --style_image has one style, and so "
            "all samples would be the same picture; give one of the two"
        )
    for name, value in (("num_samples", num_samples if num_samples > 1 else None), ("seed", seed)):
        if value is not None and model.z_dim is None:
            raise ConfigError(f"--{name}={value}: this model knows one style only; leave it out")
    if seed is not None and not -(2**63) <= seed <= 2**63 - num_samples:
        raise ConfigError(f"--seed={seed}: give one of 64 bits, with room for --num_samples")


def _free_name(name: str, paths: list[Path], output_dir: Path) -> str:
    """The name, with underscores added if a picture has this name."""
    # Some file systems do not distinguish capitals from small letters.
    taken = {str(path.relative_to(output_dir).with_suffix("")).lower() for path in paths}
    while name in taken:
        name += "_"
    return name


def _styles(model, style_image, seed, count):
    if model.z_dim is None:
        return None
    if style_image is not None:
        return np.repeat(model.encode(read_photograph(model, style_image)), count, 0)
    from spade_tf.networks.styles import seeded_styles

    return seeded_styles(seed + np.arange(count, dtype=np.int64), model.z_dim).numpy()


def _columns(rows):
    """Puts two label maps in a row if there are many with one picture each."""
    if len(rows[0]) == 2 and len(rows) > 3 and len(rows) % 2 == 0:
        return [first + second for first, second in zip(rows[::2], rows[1::2], strict=True)]
    return rows
