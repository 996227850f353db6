"""The `export` command."""

from __future__ import annotations

from experiments.command_line.command import Command, Flags
from experiments.commands.export.export import FORMATS


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string("model", None, "Workdir of a training.", required=True)
    flags.list("format", ["saved_model"], f"What to write: some of {', '.join(FORMATS)}.")
    flags.string("output_dir", None, "Folder of the model's versions.", required=True)
    flags.list(
        "variants", None, "Which, such as float32,float16; default all.", only_with="format=litert"
    )
    flags.list(
        "allow_below_bound",
        [],
        "Variants to write all the same, marked.",
        only_with="format=litert",
    )
    flags.string(
        "data_dir", None, "Where the data set is, if it was moved.", only_with="format=litert"
    )
    flags.string(
        "serving_image",
        None,
        "Image of TF Serving; default tensorflow/serving:latest.",
        only_with="format=saved_model",
    )
    flags.integer(
        "max_pixels",
        None,
        "Most pixels that are made of one label map: height x width x styles. "
        "Default: 1,048,576, or four times the trained size if that is more.",
        lower_bound=1,
        only_with="format=saved_model",
    )
    flags.boolean(
        "measure_memory",
        True,
        "Measure the memory that pictures take, a minute or more, for the bounds of the server and "
        "the memory of the manifests.",
        only_with="format=saved_model",
    )


def run(flags: Flags) -> None:
    """Exports a trained model."""
    from experiments.commands.export.export import export

    export(formats=flags.format, **flags.arguments(without=["format"]))


COMMAND = Command("a trained model → SavedModel, LiteRT", define, run)
