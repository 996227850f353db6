"""Makes pictures from label maps with a trained model."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.models import Model, RemoteModel, load_model
from experiments.schema import ConfigError

# Styles of one call: more would gain little, and memory is that of so many pictures.
_STYLES = 8


class Layout(NamedTuple):
    """A label map to make pictures of.

    Attributes:
        name: of the files to write.
        label: int32 `[H, W]`.
        instance: int32 `[H, W]`, or None.
    """

    name: str
    label: np.ndarray
    instance: np.ndarray | None


def generate(
    model: str | os.PathLike[str] | None = None,
    *,
    endpoint: str | None = None,
    model_name: str | None = None,
    output_dir: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    instances: str | os.PathLike[str] | None = None,
    style_image: str | os.PathLike[str] | None = None,
    seed: int = 0,
    num_samples: int = 1,
    max_labels: int | None = None,
) -> list[Path]:
    """Writes a PNG per label map and sample, and `overview.png` with all of the first ones.

    Args:
        model: the workdir of a training run, or an exported SavedModel; None with an `endpoint`.
        endpoint: of a server to ask instead: `grpc://HOST:PORT` or `http://HOST:PORT`.
        model_name: as that server knows it.
        output_dir: where the pictures go: `NAME.png`, or `NAME_K.png` for several samples.
        labels: folder of label map PNGs; None for those of the validation split of the data
            set that the model was trained on.
        instances: folder of instance PNGs with the same names, or None.
        style_image: photograph whose style the pictures get; None for drawn styles.
        seed: int, of drawn styles; sample `k` has the style of `seed + k`, as a server gives it.
        num_samples: int >= 1, pictures per label map, in different styles.
        max_labels: int >= 1, how many label maps; None for all (8 of a prepared data set).

    Returns:
        The paths of the pictures.

    Raises:
        ConfigError: if an argument cannot be used.
        DataError: if a file cannot.
        ServingError: if a server does not answer.
    """
    from tqdm import tqdm

    from spade_tf.training.pictures import colorize, grid, write_png

    for name, count in (("num_samples", num_samples), ("max_labels", max_labels)):
        if count is not None and count < 1:
            raise ConfigError(f"--{name}={count}: give 1 or more")
    loaded = _model_of(model, endpoint, model_name)
    if style_image is not None and not loaded.has_encoder:
        raise ConfigError(
            f"--style_image={style_image}: this model has no encoder; train one with "
            "--config.encoder.enabled=True"
        )
    if num_samples > 1 and loaded.z_dim is None:
        raise ConfigError(
            f"--num_samples={num_samples}: this model knows one style only; train one with "
            "--config.generator.z_dim=256"
        )
    if loaded.labels.condition_channels:
        raise ConfigError(
            f"--model={model}: it takes continuous maps, and generate label maps only"
        )
    if labels is not None:
        layouts = list(_folder_layouts(loaded, Path(labels), instances, max_labels))
    else:
        layouts = list(_dataset_layouts(loaded, max_labels or 8))

    output_dir = Path(output_dir)
    styles = _styles(loaded, style_image, seed, num_samples)
    paths, overview = [], []
    with tqdm(
        total=len(layouts) * num_samples, unit="picture", disable=not sys.stderr.isatty()
    ) as progress:
        for layout in layouts:
            row = [colorize(layout.label, loaded.labels.palette)]
            for start in range(0, num_samples, _STYLES):
                z = None if styles is None else styles[start : start + _STYLES]
                row += list(loaded.generate(layout.label, layout.instance, z))
                progress.update(1 if z is None else len(z))
            for index, picture in enumerate(row[1:]):
                suffix = f"_{index}" if num_samples > 1 else ""
                paths.append(output_dir / f"{layout.name}{suffix}.png")
                write_png(paths[-1], picture)
            overview.append(row)
    write_png(output_dir / "overview.png", grid(_columns(overview)))
    print(f"{len(paths)} pictures in {output_dir}; all at a glance: overview.png", file=sys.stderr)
    return paths


def _model_of(model, endpoint, model_name) -> Model:
    if (model is None) == (endpoint is None):
        raise ConfigError("--model or --endpoint: give one of the two")
    if model is not None:
        return load_model(model)
    if not model_name:
        raise ConfigError(f"--endpoint={endpoint}: give --model_name, as the server knows it")
    return RemoteModel(endpoint, model_name)


def _styles(model, style_image, seed, count):
    if model.z_dim is None:
        return None
    if style_image is not None:
        return np.repeat(model.encode(_photograph(Path(style_image))), count, 0)
    from spade_tf.networks.styles import seeded_styles

    return seeded_styles(seed + np.arange(count, dtype=np.int64), model.z_dim).numpy()


def _photograph(path):
    import tensorflow as tf

    from pipelines.inspection import read_image

    image = tf.io.decode_image(read_image(path).encoded, channels=3, expand_animations=False)
    return tf.cast(image, tf.float32)[None] / 127.5 - 1.0


def _folder_layouts(model, folder, instances, max_labels) -> Iterator[Layout]:
    from pipelines.inspection import list_images, read_ids, remap_label

    layout = "a folder of label map PNGs"
    files = sorted(list_images(folder, layout).items())[:max_labels]
    edges = {}
    if instances is not None and model.use_instance:
        edges = list_images(Path(instances), "a folder of instance PNGs")
        missing = [stem for stem, _ in files if stem not in edges]
        if missing:
            raise ConfigError(
                f"--instances={instances}: no instance map for {missing[0]} "
                f"(of {len(missing)} without one); name them as the label maps"
            )
    for stem, path in files:
        label = read_ids(path)
        label = remap_label(label, path, model.labels.num_classes, model.labels.has_unknown)
        instance = read_ids(edges[stem]) if stem in edges else None
        yield Layout(stem, *_fit(model, label, instance))


def _fit(model, label, instance):
    """Scales ids to the model's size, nearest, as its training data were."""

    def nearest(ids):
        height, width = model.image_size
        rows = np.arange(height) * ids.shape[0] // height
        columns = np.arange(width) * ids.shape[1] // width
        return ids[rows][:, columns].astype(np.int32)

    return nearest(label), None if instance is None else nearest(instance)


def _dataset_layouts(model, count) -> Iterator[Layout]:
    from pipelines.input_pipeline import make_dataset
    from pipelines.prepare import open_dataset

    builder = open_dataset(model.dataset, model.data_dir)
    split = model.split if model.split in builder.info.splits else "train"
    batches = make_dataset(
        builder,
        split,
        batch_size=1,
        load_size=None,
        crop_size=model.image_size,
        flip=False,
        seed=0,
        training=False,
        with_instance=model.use_instance,
    )
    for index, batch in enumerate(batches.take(count)):
        instance = batch["instance"][0].numpy() if model.use_instance else None
        yield Layout(f"{split}_{index:03d}", batch["label"][0].numpy(), instance)


def _columns(rows):
    """Two label maps a row where there are many with one picture each."""
    if len(rows[0]) == 2 and len(rows) > 3 and len(rows) % 2 == 0:
        return [first + second for first, second in zip(rows[::2], rows[1::2], strict=True)]
    return rows
