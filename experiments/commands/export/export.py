"""Exports a trained model: a SavedModel, LiteRT models, a painter for the web, or several."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands.export.litert_js import find_litert_js
from experiments.commands.export.web import check_paintable, say_how_to_open, write_web
from experiments.setup.config import Config, ConfigError
from experiments.setup.data_dirs import data_dir_of
from experiments.setup.output import check_writable
from experiments.setup.workdir import read_model
from pipelines.reading.prepared import find_dataset
from pipelines.schema import LabelSet
from spade_tf.export.bounds import check_max_pixels
from spade_tf.export.litert.model import import_interpreter
from spade_tf.export.litert.variants import check_variants
from spade_tf.export.serving_config import (
    DEFAULT_IMAGE,
    check_names,
    measured_mib,
    write_serving_config,
)

if TYPE_CHECKING:
    from experiments.setup.trained_model import TrainedModel

FORMATS = ("saved_model", "litert", "web")


def export(
    model: str | os.PathLike[str],
    *,
    output_dir: str | os.PathLike[str],
    formats: Sequence[str] = ("saved_model",),
    serving_image: str | None = None,
    max_pixels: int | None = None,
    measure_memory: bool = False,
    drafts: bool = False,
    variants: Sequence[str] | None = None,
    allow_below_bound: Sequence[str] = (),
    data_dir: str | None = None,
    litert_js: str | os.PathLike[str] | None = None,
    weights: str = "float16",
) -> Path:
    """Writes a trained model in some formats, all of them or none.

    "saved_model" is a SavedModel `output_dir/N` with everything that `generate` and servers need to
    know; beside the versions, `output_dir/serving` holds the configuration of TF Serving. "litert"
    is `output_dir/litert/N`, with a JSON beside each model that says what it takes and how close it
    is. "web" is `output_dir/web/N`, a painter that needs any web server and nothing else. What can
    be checked is checked before anything is made.

    Args:
        model: the workdir of a training run.
        output_dir: of the model's numbered versions.
        formats: some of `FORMATS`.
        serving_image: saved_model: of TF Serving, by digest or tag; None for the default.
        max_pixels: saved_model: that are made of one label map at most; None for the default.
        measure_memory: saved_model: whether the memory that pictures take is measured, for the
            manifests and the embedded server.
        drafts: saved_model: whether the painter's server may compute only what a stroke changed.
        variants: litert: of `spade_tf.export.litert.variants.VARIANTS`; None for all.
        allow_below_bound: litert: those that may be shipped though they miss a bound.
        data_dir: litert, web: where the data set of the run was prepared; None for where it was
            then.
        litert_js: web: the npm package of LiteRT.js; None for the one that npm installs.
        weights: web: of `experiments.commands.export.web.WEIGHTS`.

    Returns:
        The directory of the new version, of the first of the formats.

    Raises:
        ConfigError: if `model` is not a workdir.
        CheckpointError: if it holds no checkpoint that fits.
        DataError: if the data set is not there, which LiteRT models are compared on.
        ExportError: if an argument cannot be used, a model cannot be made or written, or must not
            be shipped.
    """
    if not formats or set(formats) - set(FORMATS):
        raise ConfigError(f"--format={','.join(formats)}: give some of {', '.join(FORMATS)}")
    output_dir = Path(output_dir)
    model_name, image = output_dir.resolve().name, serving_image or DEFAULT_IMAGE
    _check(model, output_dir, formats, data_dir, max_pixels)
    if "saved_model" in formats:
        check_names(model_name, image)
    if "litert" in formats:
        check_variants(variants, allow_below_bound)
    if _needs_litert(formats):
        import_interpreter()
    package = find_litert_js(litert_js) if "web" in formats else None
    from experiments.commands.export.litert import read_examples, write_litert
    from experiments.commands.export.staging import staging_folder
    from experiments.setup.trained_model import load_workdir
    from spade_tf.export.forms import check_drafts

    loaded = load_workdir(model)
    if drafts:
        # Before the minutes that LiteRT models take.
        check_drafts(loaded.generator, loaded.labels.condition_channels)
    examples = read_examples(loaded, data_dir) if _needs_litert(formats) else None
    with staging_folder(output_dir) as staging:
        staged: dict[str, Path] = {}
        # LiteRT models come first, because they may be refused for their quality.
        if package is not None and examples is not None:
            staged["web"] = write_web(
                loaded, staging, model_name, examples, litert_js=package, weights=weights
            )
        if "litert" in formats and examples is not None:
            staged["litert"] = write_litert(
                loaded,
                staging,
                examples,
                variants=variants,
                allow_below_bound=allow_below_bound,
            )
        if "saved_model" in formats:
            staged["saved_model"] = write_saved_model(
                loaded, staging, model_name, max_pixels, measure_memory, drafts
            )
            write_serving_config(
                output_dir, model_name=model_name, image=image, memory_mib=measured_mib(staging)
            )
        published = _publish(staged, output_dir)
    _say_where(published, output_dir, f"step {loaded.step} of {model}")
    return published[formats[0]]


def _say_where(published: dict[str, Path], output_dir: Path, what: str) -> None:
    for path in published.values():
        print(f"exported {what} to {path}", file=sys.stderr)
    if "saved_model" in published:
        print(f"TF Serving's files: {output_dir / 'serving'}", file=sys.stderr)
    if "web" in published:
        say_how_to_open(published["web"])


def _needs_litert(formats: Sequence[str]) -> bool:
    return not {"litert", "web"}.isdisjoint(formats)


def _check(
    model: str | os.PathLike[str],
    output_dir: Path,
    formats: Sequence[str],
    data_dir: str | None,
    max_pixels: int | None,
) -> None:
    """Checks what files tell, before anything is loaded."""
    content = read_model(model)
    check_writable(output_dir)
    config = Config.from_dict(content["config"])
    if config.data.use_canvas:
        raise ConfigError(
            f"--model={model}: this model needs a canvas beside each label map, which servers and "
            "edge devices cannot compose; use it with generate and evaluate"
        )
    if "saved_model" in formats:
        check_max_pixels((config.data.height, config.data.width), max_pixels)
    if "web" in formats:
        check_paintable(config, LabelSet.from_metadata(content["labels"]))
    if _needs_litert(formats):
        find_dataset(config.data.dataset, data_dir or data_dir_of(content, model))


def write_saved_model(
    loaded: TrainedModel,
    staging: Path,
    model_name: str,
    max_pixels: int | None,
    measure_memory: bool,
    drafts: bool,
) -> Path:
    """Writes the first version of a SavedModel into a folder; see `export` for the arguments."""
    from experiments.commands.export.model_card import export_assets, source_files, unknown_id
    from spade_tf.export.saved_model import export_saved_model

    return export_saved_model(
        loaded.generator,
        staging,
        encoder=loaded.encoder,
        unknown_id=unknown_id(loaded),
        files=source_files(loaded),
        assets=export_assets(loaded),
        model_name=model_name,
        max_pixels=max_pixels,
        measure=measure_memory,
        drafts=drafts,
    )


def _publish(staged: dict[str, Path], output_dir: Path) -> dict[str, Path]:
    """Moves each new version to its place. If one cannot be moved, all are taken back."""
    from spade_tf.export.errors import ExportError

    published: dict[str, Path] = {}
    try:
        for name, source in staged.items():
            root = output_dir if name == "saved_model" else output_dir / name
            root.mkdir(exist_ok=True)
            versions = [int(path.name) for path in root.iterdir() if path.name.isdecimal()]
            target = root / str(max(versions, default=0) + 1)
            os.replace(source, target)
            published[name] = target
    except OSError as error:
        for name, target in published.items():
            os.replace(target, staged[name])
        raise ExportError(
            f"--output_dir={output_dir}: cannot be written ({error.strerror}); choose another one"
        ) from error
    return published
