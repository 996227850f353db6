"""Exports a trained model."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def export(model: str | os.PathLike[str], *, output_dir: str | os.PathLike[str]) -> Path:
    """Writes a SavedModel with everything that `generate` needs to know.

    Args:
        model: the workdir of a training run.
        output_dir: of the model's numbered versions.

    Returns:
        The directory of the new version.

    Raises:
        ConfigError: if `model` is not a workdir.
        CheckpointError: if it holds no checkpoint that fits.
        ExportError: if the export cannot be written.
    """
    from experiments.assemble import load_workdir
    from spade_tf.export.saved_model import export_saved_model

    loaded = load_workdir(model)
    path = export_saved_model(
        loaded.generator,
        output_dir,
        encoder=loaded.encoder,
        description={
            "config": loaded.config.to_dict(),
            "labels": loaded.labels.to_metadata(),
            "data_dir": loaded.data_dir,
            "step": loaded.step,
        },
    )
    print(f"exported step {loaded.step} of {model} to {path}", file=sys.stderr)
    return path
