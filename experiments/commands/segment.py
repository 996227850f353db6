"""Trains a segmentation network on the pairs of a data set, to judge generated pictures with."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.commands.evaluate.options import check_least
from experiments.setup.config import ConfigError
from experiments.setup.output import check_writable, write_text
from experiments.setup.segmenter_network import DESCRIPTION, WEIGHTS, make_network
from pipelines.schema import LabelSet

_PROGRESS = "progress.json"


def segment(
    dataset: str,
    *,
    data_dir: str | os.PathLike[str],
    workdir: str | os.PathLike[str],
    height: int = 128,
    width: int | None = None,
    steps: int = 3000,
    batch_size: int = 8,
    learning_rate: float = 5e-4,
    checkpoint_every: int = 250,
    seed: int = 0,
) -> float:
    """Trains SegFormer-B0 from scratch, and scores it on the validation split.

    The loss is the cross entropy of known pixels; AdamW, with a rate that rises over the first
    tenth of the steps and then falls by a cosine to zero; pictures are scaled by up to 1.12,
    cropped and mirrored. A killed training goes on from its last checkpoint.

    Args:
        dataset: name of a prepared data set.
        data_dir: folder of prepared data sets.
        workdir: folder to write: weights, `segmenter.json`, checkpoints.
        height: of the pictures it learns from, in pixels, a multiple of 32.
        width: likewise; None for `height`.
        steps: int >= 1.
        batch_size: int >= 1.
        learning_rate: float > 0, the highest.
        checkpoint_every: int >= 1, steps.
        seed: int, of weights and order.

    Returns:
        The mean IoU on the real pictures of the validation split.

    Raises:
        ConfigError: if an argument cannot be used, or KerasHub is not installed.
        DataError: if there is no such data set.
    """
    width = height if width is None else width
    _check_sizes(height=height, width=width)
    check_least(
        steps=(steps, 1), batch_size=(batch_size, 1), checkpoint_every=(checkpoint_every, 1)
    )
    if not 0 < learning_rate < math.inf:
        raise ConfigError(f"--learning_rate={learning_rate}: give a number above 0, such as 5e-4")
    from pipelines.reading.prepared import label_set, open_dataset

    builder = open_dataset(dataset, data_dir)
    labels = label_set(builder)
    if labels.condition_channels:
        raise ConfigError(f"--dataset={dataset}: it has continuous maps, and so no classes")
    folder = Path(workdir)
    check_writable(folder, "workdir")
    settings = {
        "dataset": dataset,
        "labels": labels.to_metadata(),
        "image_size": [height, width],
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    _check_same(folder, settings)
    import keras

    keras.utils.set_random_seed(seed)
    network = make_network(labels.num_classes, (height, width))
    folder.mkdir(parents=True, exist_ok=True)
    _fit(network, builder, labels, folder, settings, checkpoint_every)
    # Half precision halves the file. The scores are those of the weights that it holds.
    weights = [weight.astype(np.float16) for weight in network.get_weights()]
    network.set_weights(weights)
    scores = score(network, builder, labels, (height, width), batch_size)
    partial = folder / f"partial_{WEIGHTS}"
    np.savez(partial, *weights)
    os.replace(partial, folder / WEIGHTS)
    _write(folder / DESCRIPTION, {**settings, "validation": scores})
    print(
        f"mean IoU {scores['mean_iou']:.4f}, pixel accuracy {scores['pixel_accuracy']:.4f} on "
        f"{scores['count']} real pictures of the validation split; segmenter in {folder}",
        file=sys.stderr,
    )
    return scores["mean_iou"]


def score(
    network: Any, builder: Any, labels: LabelSet, image_size: tuple[int, int], batch_size: int
) -> dict[str, Any]:
    """Segmentation scores on the real pictures of the validation split.

    Args:
        network: see `make_network`.
        builder: of the data set.
        labels: its label set.
        image_size: height and width in pixels.
        batch_size: int >= 1.
    """
    import tensorflow as tf

    from spade_tf.metrics.segmentation import confusion_matrix, segmentation_scores

    predict = tf.function(lambda x: tf.argmax(network(x, training=False), -1), autograph=False)
    matrix, count = np.zeros([labels.num_classes] * 2, np.int64), 0
    split = "val" if "val" in builder.info.splits else "train"
    for batch in _batches(builder, split, image_size, batch_size):
        matrix += confusion_matrix(
            batch["label"], predict(batch["image"]), num_classes=labels.num_classes
        ).numpy()
        count += len(batch["label"])
    scores = segmentation_scores(matrix)
    return {
        "count": count,
        "split": split,
        "mean_iou": scores.mean_iou,
        "mean_class_accuracy": scores.mean_class_accuracy,
        "pixel_accuracy": scores.pixel_accuracy,
        "iou": [None if np.isnan(value) else value for value in scores.iou.tolist()],
    }


def _fit(
    network: Any,
    builder: Any,
    labels: LabelSet,
    folder: Path,
    settings: Mapping[str, Any],
    checkpoint_every: int,
) -> None:
    import keras
    import tensorflow as tf

    steps, unit = settings["steps"], min(checkpoint_every, settings["steps"])
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=settings["learning_rate"], warmup_steps=max(steps // 10, 1)
    )
    unknown = labels.num_classes if labels.has_unknown else None
    network.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=unknown),
        metrics=[],
        # On a processor, XLA would compile for minutes.
        jit_compile=bool(tf.config.list_physical_devices("GPU")),
    )
    units = -(-steps // unit)
    state = folder / _PROGRESS
    done = json.loads(state.read_text())["units"] if state.exists() else 0
    _check_backup(folder / "backup")
    backup = keras.callbacks.BackupAndRestore(
        folder / "backup", save_freq="epoch", delete_checkpoint=False
    )
    pairs = _batches(
        builder,
        "train",
        tuple(settings["image_size"]),
        settings["batch_size"],
        seed=settings["seed"],
        start_step=done * unit,
    ).map(lambda batch: (batch["image"], batch["label"]))

    class Count(keras.callbacks.Callback):
        """Says how far the training is, so that data go on where weights do."""

        def on_epoch_end(self, epoch, logs=None):
            _write(state, {"units": epoch + 1})

    def check_loss(epoch: int, logs: Mapping[str, float]) -> None:
        if not math.isfinite(logs["loss"]):
            raise ConfigError(
                f"the loss is {logs['loss']} after step {(epoch + 1) * unit}; give a lower "
                "--learning_rate, and another --workdir"
            )

    print(
        f"training {folder}: {steps} steps, in {units} epochs of {unit}, with a checkpoint after "
        "each. The same command goes on from the last one.",
        file=sys.stderr,
    )
    network.fit(
        pairs,
        epochs=units,
        steps_per_epoch=unit,
        shuffle=False,  # The pipeline shuffles.
        # What is checked first is not kept.
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=check_loss), backup, Count()],
        verbose="auto" if sys.stderr.isatty() else 2,
    )


def _check_backup(folder: Path) -> None:
    import h5py

    for path in folder.glob("*.h5"):
        try:
            h5py.File(path).close()
        except OSError:
            raise ConfigError(
                f"{path} is damaged; delete {folder.parent} to train from the start"
            ) from None


def _batches(
    builder: Any,
    split: str,
    image_size: tuple[int, int],
    batch_size: int,
    seed: int | None = None,
    start_step: int = 0,
) -> Any:
    from pipelines.reading.input_pipeline import Training, make_dataset

    height, width = image_size
    larger = (round(height * 1.12), round(width * 1.12))
    return make_dataset(
        builder,
        split,
        batch_size=batch_size,
        load_size=image_size if seed is None else larger,
        crop_size=image_size,
        training=None if seed is None else Training(seed, flip=True),
        start_step=start_step,
        with_instance=False,
    )


def _check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        if value < 1 or value % 32:
            nearest = max(round(value / 32), 1) * 32
            raise ConfigError(f"--{name}={value}: give a multiple of 32, such as {nearest}")


def _check_same(folder: Path, settings: Mapping[str, Any]) -> None:
    path = folder / "settings.json"
    # Before the first checkpoint there is nothing to go on with.
    if path.exists() and (folder / _PROGRESS).exists():
        begun = json.loads(path.read_text())
        for name, value in settings.items():
            if begun.get(name) != value:
                raise ConfigError(
                    f"{path}: this workdir was begun with {name}={begun.get(name)!r}, not "
                    f"{value!r}; give another --workdir, or delete this one"
                )
        return
    folder.mkdir(parents=True, exist_ok=True)
    _write(path, settings)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1) + "\n")
