"""The files that describe an export: model card, configuration, classes."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

from experiments.setup.config import Config
from experiments.setup.sizing import photograph_shape
from pipelines.sources.inspection import source_unknown_id
from spade_tf.export.source_files import SourceFiles

if TYPE_CHECKING:
    from experiments.setup.trained_model import TrainedModel


def unknown_id(model: TrainedModel) -> int | None:
    """The id that stands for unknown in label map files; None if no id does."""
    labels = model.labels
    return source_unknown_id(labels.num_classes) if labels.has_unknown else None


def source_files(model: TrainedModel) -> SourceFiles:
    """How to read the files of a model's maps and photographs."""
    labels = model.labels
    return SourceFiles(
        id_table=labels.files.id_table,
        palette_indices=labels.files.palette_indices,
        colors=labels.files.colors,
        color_ids=labels.files.color_ids,
        off_palette_id=labels.num_classes if labels.files.off_palette_unknown else None,
        condition_channels=labels.condition_channels,
        photographs=photograph_shape(model.config),
    )


def export_assets(model: TrainedModel) -> dict[str, str]:
    """The assets of an export: texts by file name.

    Servers give them to whoever asks: they tell of no folder of the machine that trained.

    Args:
        model: the trained model of a workdir.

    Returns:
        `config.json` (for `generate`), `class_names.txt` (one per line, id 0 first),
        `palette.json` (name and RGB colour of each id) and `model_card.md`.
    """
    labels = model.labels
    palette = [
        {"id": index, "name": name, "color": list(color)}
        for index, (name, color) in enumerate(zip(labels.id_names, labels.palette, strict=True))
    ]
    return {
        "config.json": json.dumps(export_content(model), indent=1) + "\n",
        "class_names.txt": "\n".join(labels.id_names) + "\n",
        "palette.json": json.dumps(palette, indent=1) + "\n",
        "model_card.md": model_card(model),
    }


def export_content(model: TrainedModel) -> dict[str, Any]:
    """What `generate` must know of an export: configuration, label set and step."""
    return {
        "config": _without_folders(model.config).to_dict(),
        "labels": model.labels.to_metadata(),
        "step": model.step,
    }


def _without_folders(config: Config) -> Config:
    """A configuration whose paths are names: of each, only its last part is left."""

    def name(path: str) -> str:
        return os.path.basename(os.path.normpath(path)) if path else path

    loss = dataclasses.replace(config.loss, vgg_weights=name(config.loss.vgg_weights))
    return dataclasses.replace(
        config, teacher=name(config.teacher), init_from=name(config.init_from), loss=loss
    )


def model_card(model: TrainedModel) -> str:
    """Writes a model card in Markdown.

    Args:
        model: the trained model of a workdir.

    Reference: Mitchell et al. 2019, "Model Cards for Model Reporting"; differs: shorter.
    """
    config, labels, generator = model.config, model.labels, model.generator
    names = ", ".join(f"{index} {name}" for index, name in enumerate(labels.class_names))
    special = unknown_id(model)
    millions = sum(variable.shape.num_elements() for variable in generator.weights) / 1e6
    vectors = [f"a vector of {generator.z_dim} numbers"] if generator.z_dim else []
    if dim := config.generator.class_style_dim:
        vectors.append(f"a vector of {dim} numbers for each class (`class_styles`)")
    style = (
        f"{' and '.join(vectors)}, drawn by `seed`"
        + (", or taken from a photograph" if model.encoder is not None else "")
        if vectors
        else "one only"
    )
    averaged = (
        f"the moving average of the weights (decay {config.train.average_decay})"
        if config.train.average_decay
        else "the weights as trained"
    )
    height, width = config.data.height, config.data.width
    unknown = "" if special is None else f", and {special} (or {labels.num_classes}) for unknown"
    kind = f"{config.generator.architecture}, conditioning `{config.generator.conditioning}`"
    edges = "are seen" if generator.use_instance_edges else "are not seen"
    return f"""# {config.name}

Semantic image synthesis: a label map goes in, a picture that follows it comes out.

| | |
|---|---|
| architecture | {kind}, {config.generator.filters} filters |
| weights | {millions:.2f} million, float32; {averaged} |
| trained | {model.step} steps of batches of {config.train.batch_size} at {height}x{width} pixels |
| data set | `{config.data.dataset}` |
| styles | {style} |
| instance edges | {edges} |
| label ids | 0 to {labels.num_classes - 1}{unknown} |

Classes: {names}.

## Use

Pictures are invented: they show what photographs in the data set with such a label map look like,
not what is really there. They repeat what the data set shows often, and are poor where it shows
little. Label maps unlike those in training (noise, other proportions of classes, another scale)
give poor pictures. Do not pass pictures off as photographs.
"""
