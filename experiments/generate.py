"""Makes pictures from label maps with a trained model."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from experiments.schema import ConfigError


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


class Model(Protocol):
    """What pictures are made with: a training run, or an export of one."""

    labels: Any
    image_size: tuple[int, int]
    z_dim: int | None
    has_encoder: bool
    use_instance: bool
    data_dir: str
    dataset: str

    def generate(self, label, instance, z) -> np.ndarray:
        """Pictures float32 `[B, H, W, 3]` in [-1, 1]."""

    def encode(self, image) -> np.ndarray:
        """Styles float32 `[B, z_dim]`."""


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

    from spade_tf.training.pictures import colorize, grid, to_uint8, write_png

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
    for layout in tqdm(layouts, unit="label map", disable=not sys.stderr.isatty()):
        row = [colorize(layout.label, loaded.labels.palette)]
        for index in range(num_samples):
            z = None if styles is None else styles[index : index + 1]
            instance = None if layout.instance is None else layout.instance[None]
            picture = to_uint8(loaded.generate(layout.label[None], instance, z)[0])
            suffix = f"_{index}" if num_samples > 1 else ""
            path = output_dir / f"{layout.name}{suffix}.png"
            write_png(path, picture)
            paths.append(path)
            row.append(picture)
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
    from experiments.remote import RemoteModel

    return RemoteModel(endpoint, model_name)


def load_model(path: str | os.PathLike[str]) -> Model:
    """A training run or an export, whichever the folder holds.

    Raises:
        ConfigError: if it holds neither.
        CheckpointError: if the checkpoint does not fit.
    """
    path = Path(path)
    if not path.is_dir():
        raise ConfigError(f"--model={path}: no such folder")
    if (path / "config.json").exists():
        return _Workdir(path)
    versions = sorted((int(p.name) for p in path.iterdir() if p.name.isdecimal()), reverse=True)
    for candidate in [path, *(path / str(version) for version in versions)]:
        if (candidate / "saved_model.pb").exists():
            return _SavedModel(candidate)
    raise ConfigError(
        f"--model={path}: neither the --workdir of a training (no config.json) nor a SavedModel "
        "(no saved_model.pb)"
    )


class _Workdir:
    """A training run."""

    def __init__(self, path):
        import tensorflow as tf

        from experiments.assemble import load_workdir

        model = load_workdir(path)
        self.labels, self.data_dir = model.labels, model.data_dir
        self.dataset, self.split = model.config.data.dataset, model.config.data.val_split
        self.image_size = (model.config.data.height, model.config.data.width)
        self.z_dim = model.generator.z_dim
        self.use_instance = model.generator.use_instance_edges
        self.has_encoder = model.encoder is not None
        self._generator, self._encoder = model.generator, model.encoder
        self._function = tf.function(self._call)

    def _call(self, label, instance, z):
        inputs = {"label": label, "instance": instance}
        return self._generator(inputs, z=z, training=False)

    def generate(self, label, instance, z):
        return self._function(label, instance, z).numpy()

    def encode(self, image):
        if self._encoder is None:
            raise ConfigError("this model has no encoder")
        return self._encoder(image, training=False)[0].numpy()


class _SavedModel:
    """An export."""

    def __init__(self, path):
        import json

        import tensorflow as tf

        from pipelines.schema import LabelSet

        asset = path / "assets" / "config.json"
        try:
            content = json.loads(asset.read_text())
            self.labels = LabelSet.from_metadata(content["labels"])
            config = content["config"]
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"--model={path}: not an export of this project ({error})") from error
        self._model = tf.saved_model.load(str(path))
        self.data_dir = content["data_dir"]
        self.dataset, self.split = config["data"]["dataset"], config["data"]["val_split"]
        self.image_size = (config["data"]["height"], config["data"]["width"])
        self.z_dim = config["generator"]["z_dim"] or None
        self.use_instance = config["data"]["use_instance"]
        self.has_encoder = "encode_style" in self._model.signatures

    def generate(self, label, instance, z):
        import tensorflow as tf

        inputs = {"label": tf.constant(label, tf.int32)}
        if self.use_instance:
            absent = np.zeros_like(label)
            inputs["instance"] = tf.constant(absent if instance is None else instance, tf.int32)
        if self.z_dim is not None:
            inputs["z"] = tf.constant(z, tf.float32)
        return self._model.signatures["generate"](**inputs)["image"].numpy()

    def encode(self, image):
        import tensorflow as tf

        from spade_tf.training.pictures import encode_png, to_uint8

        # Pixels are whole numbers, so that a PNG of them loses nothing.
        files = [encode_png(picture) for picture in to_uint8(image)]
        return self._model.signatures["encode_style"](image_bytes=tf.constant(files))["z"].numpy()


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
