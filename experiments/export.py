"""Exports a trained model."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from experiments.schema import ConfigError


def export(model: str | os.PathLike[str], *, output_dir: str | os.PathLike[str]) -> Path:
    """Writes a SavedModel with everything that `generate` and servers need to know.

    Args:
        model: the workdir of a training run.
        output_dir: of the model's numbered versions.

    Returns:
        The directory of the new version.

    Raises:
        ConfigError: if `model` is not a workdir, or takes continuous maps.
        CheckpointError: if it holds no checkpoint that fits.
        ExportError: if the export cannot be written.
    """
    from experiments.assemble import load_workdir
    from experiments.model_card import export_assets, unknown_id
    from spade_tf.export.saved_model import export_saved_model

    loaded = load_workdir(model)
    if loaded.labels.condition_channels:
        raise ConfigError(f"--model={model}: it takes continuous maps, and export label maps only")
    path = export_saved_model(
        loaded.generator,
        output_dir,
        encoder=loaded.encoder,
        unknown_id=unknown_id(loaded),
        assets=export_assets(loaded),
    )
    print(f"exported step {loaded.step} of {model} to {path}", file=sys.stderr)
    return path
