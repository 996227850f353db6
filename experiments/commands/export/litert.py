"""LiteRT models of a trained model, checked on the label maps of its data set."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from experiments.setup.trained_model import TrainedModel
    from pipelines.schema import LabelSet

# Number of label maps for the comparison with Keras, and for the calibration of int8.
NUM_LAYOUTS = 8
NUM_CALIBRATION_LAYOUTS = 32


class Examples(NamedTuple):
    """Examples for comparing LiteRT models with Keras, and for calibration: batches of one."""

    layouts: list[Any]
    photographs: list[np.ndarray]
    calibration_layouts: list[Any]


def read_examples(loaded: TrainedModel, data_dir: str | None = None) -> Examples:
    """Reads examples of a run's data set.

    Args:
        loaded: the run.
        data_dir: where the data set is; None for where it was during training.

    Raises:
        DataError: if it is not there.
    """
    data_dir = data_dir or loaded.data_dir
    layouts, photographs = read_layouts(loaded, "val", NUM_LAYOUTS, data_dir)
    calibration, _ = read_layouts(loaded, "train", NUM_CALIBRATION_LAYOUTS, data_dir)
    return Examples(layouts, photographs, calibration)


def write_litert(
    loaded: TrainedModel,
    output_dir: str | os.PathLike[str],
    examples: Examples,
    *,
    variants: Sequence[str] | None = None,
    allow_below_bound: Sequence[str] = (),
) -> Path:
    """Writes `output_dir/litert/N`; see `spade_tf.export.litert.export.export_litert`.

    Args:
        loaded: a training run.
        output_dir: of the model.
        examples: of its data set.
        variants: of `spade_tf.export.litert.variants.VARIANTS`; None for all.
        allow_below_bound: those that may be shipped though they miss a bound.

    Returns:
        The directory of the new version.

    Raises:
        ExportError: if a model cannot be made, or must not be shipped.
    """
    from experiments.commands.export.model_card import export_content
    from spade_tf.export.litert.export import export_litert
    from spade_tf.export.litert.variants import VARIANTS

    encoder = loaded.encoder
    if encoder is not None and loaded.config.encoder.per_class:
        print("encoder of styles of classes: not exported, as LiteRT has none", file=sys.stderr)
        encoder = None
    if loaded.config.generator.class_style_dim and "int8" in (variants or VARIANTS):
        print("int8: left out, as it does not go with styles of classes", file=sys.stderr)
    return export_litert(
        loaded.generator,
        output_dir,
        layouts=examples.layouts,
        calibration_layouts=examples.calibration_layouts,
        encoder=encoder,
        photographs=examples.photographs,
        variants=tuple(VARIANTS) if variants is None else variants,
        allow_below_bound=allow_below_bound,
        one_hot=not loaded.labels.condition_channels,
        description={
            "model": {"name": loaded.config.name, "step": loaded.step},
            "export": export_content(loaded),
            **describe_labels(loaded.labels),
        },
        on_model=print_model,
    )


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
    from experiments.setup.assemble import make_batches
    from pipelines.reading.prepared import open_dataset
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
    """The entries about the label set and label map files in the JSON beside a model.

    Args:
        labels: label set of the model.

    Returns:
        `classes`: id, name, colour, and value in a file of each class, the unknown one last if
        there is one (`value` None where files cannot hold it). `label_map`: see
        `spade_tf.export.litert.meanings.plain_label_map`; not for continuous maps.
    """
    from pipelines.sources.inspection import source_unknown_id
    from spade_tf.export.litert.meanings import plain_label_map

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
    classes = [
        {"id": index, "name": name, "color": list(color), "value": values.get(index)}
        for index, (name, color) in enumerate(zip(labels.id_names, labels.palette, strict=True))
    ]
    return {"classes": classes, "label_map": label_map}


def print_model(name: str, facts: Mapping[str, Any]) -> None:
    """Prints the main facts of a model in one line on stderr."""
    against = facts["against_keras"]
    print(
        f"{name}: {facts['size_bytes'] / 2**20:.2f} MiB, {against['psnr_db']} dB and at most "
        f"{against['max_abs_difference']:.2g} from Keras, {facts['cpu']['milliseconds']} ms on "
        f"{facts['cpu']['threads']} threads",
        file=sys.stderr,
    )
