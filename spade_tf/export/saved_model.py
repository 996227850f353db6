"""SavedModels, as TF Serving wants them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

from spade_tf.export.bounds import check_max_pixels
from spade_tf.export.errors import ExportError
from spade_tf.export.memory import measure_memory, said_of_memory
from spade_tf.export.signatures import ServedModel
from spade_tf.export.source_files import SourceFiles
from spade_tf.export.warmup import write_warmup_requests
from spade_tf.export.work import count_work, write_work


def export_saved_model(
    generator: keras.Model,
    output_dir: str | os.PathLike[str],
    *,
    encoder: keras.Model | None = None,
    unknown_id: int | None = None,
    assets: Mapping[str, str] | None = None,
    model_name: str | None = None,
    max_pixels: int | None = None,
    files: SourceFiles | None = None,
    measure: bool = False,
    drafts: bool = False,
) -> Path:
    """Writes `output_dir/N/`, N being one more than the largest version there, whole or not at all.

    The signatures are those of `ServedModel`. SPADE generators go in fused (normalisation and
    spectral norms folded into the kernels) where they can be; of all others, spectral norms are.

    Args:
        generator: of pictures.
        output_dir: of the versions of this model.
        encoder: of styles; None for none.
        unknown_id: int, what label files hold in place of the generator's last id, which stands
            for unknown; None where no id does.
        assets: texts by file name, for `assets/`.
        model_name: that warm-up requests are addressed to; None for the name of `output_dir`.
        max_pixels: int, what is made of one label map at most, height x width x styles; None for
            1,048,576, or for four times the trained size if that is more.
        files: what files hold that maps and photographs come in; None for ids as they are.
        measure: bool, whether the memory that it takes is measured, in a process of its own.
        drafts: bool, whether the painter's server may compute anew only what a stroke changed.

    Returns:
        The directory of the version.

    Raises:
        ExportError: if it cannot be written, is asked for within the scope of a strategy,
            `max_pixels` is less than a picture of the trained size, or the generator makes no
            drafts.

    Example:
        >>> from spade_tf import export_saved_model
        >>> export_saved_model(generator, "saved_models/mine", encoder=encoder)  # doctest: +SKIP
        PosixPath('saved_models/mine/1')
    """
    output_dir = Path(output_dir)
    check_max_pixels(generator.image_size, max_pixels)
    if tf.distribute.has_strategy():
        raise ExportError(
            "export_saved_model: called within the scope of a strategy, whose variables a "
            "SavedModel would keep as several; load the networks and export them outside"
        )
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        versions = [int(path.name) for path in output_dir.iterdir() if path.name.isdecimal()]
        target = output_dir / str(max(versions, default=0) + 1)
        with tempfile.TemporaryDirectory(dir=output_dir, prefix=".export-") as scratch:
            module = ServedModel(
                generator, encoder, unknown_id, assets or {}, max_pixels, files, drafts
            )
            module.files = _assets(Path(scratch), assets or {})
            staged = Path(scratch) / "model"
            signatures = module.signatures()
            tf.saved_model.save(module, str(staged), signatures=signatures)
            write_warmup_requests(staged, module, model_name or output_dir.name)
            bounds = measure_memory(staged, module) if measure else {}
            if measure:
                print(said_of_memory(bounds, module.limits), file=sys.stderr)
            write_work(staged, count_work(generator, encoder), bounds, module.limits)
            os.replace(staged, target)
    except (OSError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ExportError(
            f"--output_dir={output_dir}: cannot be written ({reason}); choose another one"
        ) from error
    finally:
        for leftover in output_dir.glob(".export-*"):
            shutil.rmtree(leftover, ignore_errors=True)
    return target


def _assets(directory: Path, texts: Mapping[str, str]) -> list[tf.saved_model.Asset]:
    files = []
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
        files.append(tf.saved_model.Asset(str(directory / name)))
    return files
