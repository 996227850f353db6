"""The `export` command."""

from __future__ import annotations

from experiments.command_line.command import Command, Flags
from experiments.commands.export.export import FORMATS
from experiments.commands.export.web import WEIGHTS


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string(
        "model",
        None,
        "Workdir of a training.",
        required="the workdir of a training, such as --model=runs/landscapes",
    )
    flags.list("format", ["saved_model"], f"What to write: some of {', '.join(FORMATS)}.")
    flags.string(
        "output_dir",
        None,
        "Folder of the model's versions: 1, 2 and so on.",
        required="a folder for the model's versions, such as --output_dir=saved_models/land",
    )
    flags.list(
        "variants",
        None,
        "Which models to write, such as float32,float16; default all.",
        only_with="format=litert",
    )
    flags.list(
        "allow_below_bound",
        [],
        "Variants to write although they miss their bound; their JSON says so.",
        only_with="format=litert",
    )
    flags.string(
        "data_dir",
        None,
        "Folder of prepared data sets, if it was moved since the training. LiteRT models, those of "
        "a painter for the web too, are compared with the trained one on it.",
        only_with="format=litert or web",
    )
    _define_saved_model(flags)
    _define_web(flags)


def _define_saved_model(flags: Flags) -> None:
    flags.string(
        "serving_image",
        None,
        "Docker image of TF Serving; default tensorflow/serving:latest.",
        only_with="format=saved_model",
    )
    flags.integer(
        "max_pixels",
        None,
        "Largest picture that the export makes, in pixels: height x width x number of styles. "
        "Default 1,048,576, or four times the trained size if that is more.",
        lower_bound=1,
        only_with="format=saved_model",
    )
    flags.boolean(
        "measure_memory",
        True,
        "Measure how much memory pictures take. The server's limits and the Kubernetes manifests "
        "follow from it.",
        only_with="format=saved_model",
    )
    flags.boolean(
        "drafts",
        False,
        "While somebody paints, let serve compute only what a stroke changes. The export becomes "
        "about a megabyte larger. For SPADE generators with batch normalisation.",
        only_with="format=saved_model",
    )


def _define_web(flags: Flags) -> None:
    flags.string(
        "litert_js",
        None,
        "Folder of the npm package @litertjs/core, which runs the model in browsers. By default "
        "npm installs it, once.",
        only_with="format=web",
    )
    flags.enum(
        "weights",
        "float16",
        WEIGHTS,
        "Form of the networks. float16 is half of the download of float32, and no level of 256 "
        "away; dynamic_int8 is a quarter.",
        only_with="format=web",
    )


def run(flags: Flags) -> None:
    """Exports a trained model."""
    from experiments.commands.export.export import export

    export(formats=flags.format, **flags.arguments(without=["format"]))


COMMAND = Command(
    "writes a trained model as SavedModel, LiteRT or a painter for the web", define, run
)
