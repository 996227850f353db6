"""Exports a trained model to LiteRT, checked on the label maps of its data set."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from experiments.assemble import TrainedModel
    from pipelines.schema import LabelSet

# How many label maps models are compared with Keras on, and how many int8 is calibrated with.
NUM_LAYOUTS = 8
NUM_CALIBRATION_LAYOUTS = 32


def export_litert(
    model: str | os.PathLike[str],
    *,
    output_dir: str | os.PathLike[str],
    variants: Sequence[str] | None = None,
    allow_below_bound: Sequence[str] = (),
    data_dir: str | None = None,
) -> Path:
    """Writes LiteRT models, with a JSON beside each that says what it takes and how close it is.

    Args:
        model: the workdir of a training run.
        output_dir: of the model; they go to `litert/N` in it.
        variants: of `spade_tf.export.litert.VARIANTS`; None for all.
        allow_below_bound: those that may be shipped though they miss a bound.
        data_dir: where the data set of the run was prepared; None for where it was then.

    Returns:
        The directory of the new version.

    Raises:
        ConfigError: if `model` is not a workdir.
        CheckpointError: if it holds no checkpoint that fits.
        DataError: if its data set is not there.
        ExportError: if a model cannot be made, or must not be shipped.
    """
    from experiments.assemble import load_workdir
    from spade_tf.export.litert import VARIANTS
    from spade_tf.export.litert import export_litert as write

    loaded = load_workdir(model)
    data_dir = data_dir or loaded.data_dir
    layouts, photographs = read_layouts(loaded, "val", NUM_LAYOUTS, data_dir)
    calibration, _ = read_layouts(loaded, "train", NUM_CALIBRATION_LAYOUTS, data_dir)
    path = write(
        loaded.generator,
        output_dir,
        layouts=layouts,
        calibration_layouts=calibration,
        encoder=loaded.encoder,
        photographs=photographs,
        variants=tuple(VARIANTS) if variants is None else variants,
        allow_below_bound=allow_below_bound,
        one_hot=not loaded.labels.condition_channels,
        description={
            "model": {"name": loaded.config.name, "step": loaded.step},
            **describe_labels(loaded.labels),
        },
        on_model=print_model,
    )
    print(f"exported step {loaded.step} of {model} to {path}", file=sys.stderr)
    return path


def read_layouts(
    loaded: TrainedModel, split: str, count: int, data_dir: str
) -> tuple[list[Any], list[np.ndarray]]:
    """Label maps (or continuous ones) of a run's data set as the generator takes them.

    Args:
        loaded: the run.
        split: "train" or "val", which stands for the run's own, and for the other one where it is
            empty.
        count: int >= 1, how many at most.
        data_dir: where the data set was prepared.

    Returns:
        `(layouts, photographs)`: a batch of one each, and the pictures that belong to them.
    """
    from experiments.assemble import make_batches
    from pipelines.prepare import open_dataset
    from spade_tf.layers.semantics import Semantics

    data = loaded.config.data
    builder = open_dataset(data.dataset, data_dir)
    name = data.val_split if split == "val" else data.train_split
    if name not in builder.info.splits:
        name = data.train_split
    batches = make_batches(loaded.config, builder, name, training=False, batch_size=1)
    layouts: list[Any] = []
    photographs = []
    for batch in batches.take(count):
        if "condition" in batch:
            generator = loaded.generator
            semantics = Semantics.from_inputs(
                batch,
                num_labels=generator.num_labels,
                use_instance_edges=generator.use_instance_edges,
            )
            layouts.append(semantics.dense.numpy())
        else:
            layouts.append({k: batch[k].numpy() for k in ("label", "instance") if k in batch})
        photographs.append(batch["image"].numpy())
    return layouts, photographs


def describe_labels(labels: LabelSet) -> dict[str, Any]:
    """What the JSON beside a model says of its label set, and of the files that hold label maps.

    Args:
        labels: of the model.

    Returns:
        `classes`: id, name, colour, and value in a file of each class, the unknown one last if
        there is one (`value` None where files cannot hold it). `label_map`: see
        `spade_tf.export.litert.plain_label_map`; not for continuous maps.
    """
    from pipelines.inspection import source_unknown_id
    from spade_tf.export.litert import plain_label_map

    if labels.condition_channels:
        return {"classes": []}
    label_map = plain_label_map(labels.num_ids)
    table = list(labels.files.id_table)
    if table:
        label_map["id_of_value"] = table
    elif labels.has_unknown:
        label_map["id_of_value"] = list(range(labels.num_classes))
        label_map["unknown_value"] = source_unknown_id(labels.num_classes)
        label_map["unknown"] = labels.num_classes
    values = {id_: value for value, id_ in reversed(list(enumerate(label_map["id_of_value"])))}
    if label_map["unknown"] is not None:
        values[label_map["unknown"]] = label_map["unknown_value"]
    names = [*labels.class_names, *(["unknown"] if labels.has_unknown else [])]
    classes = [
        {"id": index, "name": name, "color": list(color), "value": values.get(index)}
        for index, (name, color) in enumerate(zip(names, labels.palette, strict=True))
    ]
    return {"classes": classes, "label_map": label_map}


def print_model(name: str, facts: Mapping[str, Any]) -> None:
    """One line on stderr."""
    against = facts["against_keras"]
    print(
        f"{name}: {facts['size_bytes'] / 2**20:.2f} MiB, {against['psnr_db']} dB and at most "
        f"{against['max_abs_difference']:.2g} from Keras, {facts['cpu']['milliseconds']} ms on "
        f"{facts['cpu']['threads']} threads",
        file=sys.stderr,
    )
