"""Exports a trained model."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def export(
    model: str | os.PathLike[str],
    *,
    output_dir: str | os.PathLike[str],
    serving_image: str | None = None,
    max_pixels: int | None = None,
    measure_memory: bool = False,
) -> Path:
    """Writes a SavedModel with everything that `generate` and servers need to know.

    Beside the versions, `output_dir/serving` holds the configuration of TF Serving.

    Args:
        model: the workdir of a training run.
        output_dir: of the model's numbered versions.
        serving_image: of TF Serving, by digest or tag; None for the default.
        max_pixels: that are made of one label map at most; None for the default.
        measure_memory: whether the memory that pictures take is measured, for the manifests and the
            embedded server.

    Returns:
        The directory of the new version.

    Raises:
        ConfigError: if `model` is not a workdir.
        CheckpointError: if it holds no checkpoint that fits.
        ExportError: if the export cannot be written.
    """
    from experiments.assemble import load_workdir
    from experiments.model_card import export_assets, source_files, unknown_id
    from spade_tf.export.saved_model import export_saved_model
    from spade_tf.export.serving_config import DEFAULT_IMAGE, check_names, write_serving_config

    model_name, image = Path(output_dir).resolve().name, serving_image or DEFAULT_IMAGE
    check_names(model_name, image)
    loaded = load_workdir(model)
    path = export_saved_model(
        loaded.generator,
        output_dir,
        encoder=loaded.encoder,
        unknown_id=unknown_id(loaded),
        files=source_files(loaded),
        assets=export_assets(loaded, output_dir),
        model_name=model_name,
        max_pixels=max_pixels,
        measure=measure_memory,
    )
    serving = write_serving_config(
        output_dir,
        model_name=model_name,
        image=image,
    )
    print(
        f"exported step {loaded.step} of {model} to {path}; TF Serving's files: {serving}",
        file=sys.stderr,
    )
    return path
