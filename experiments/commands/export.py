"""The `export` command."""

from __future__ import annotations

from experiments.commands.command import Command, Flags

FORMATS = ("saved_model", "litert")


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string("model", None, "Workdir of a training.", required=True)
    flags.list("format", ["saved_model"], f"What to write: some of {', '.join(FORMATS)}.")
    flags.string("output_dir", None, "Folder of the model's versions.", required=True)
    flags.list("variants", None, "litert: which, such as float32,float16; default all.")
    flags.list("allow_below_bound", [], "litert: variants to write all the same, marked.")
    flags.string("data_dir", None, "litert: where the data set is, if it was moved.")
    flags.string("serving_image", None, "Image of TF Serving; default tensorflow/serving:latest.")
    flags.integer(
        "max_pixels",
        None,
        "saved_model: most pixels that are made of one label map: height x width x styles. "
        "Default: 1,048,576, or four times the trained size if that is more.",
        lower_bound=1,
    )
    flags.boolean(
        "measure_memory",
        True,
        "saved_model: measure the memory that pictures take, a minute or more, for the bounds of "
        "the server and the memory of the manifests.",
    )


def run(flags: Flags) -> None:
    """Exports a trained model."""
    unknown = [name for name in flags.format if name not in FORMATS]
    if unknown or not flags.format:
        raise ValueError(f"--format={','.join(flags.format)}: give some of {', '.join(FORMATS)}")
    if "saved_model" in flags.format:
        from experiments.export import export

        export(
            flags.model,
            output_dir=flags.output_dir,
            serving_image=flags.serving_image,
            max_pixels=flags.max_pixels,
            measure_memory=flags.measure_memory,
        )
    if "litert" in flags.format:
        from experiments.export_litert import export_litert

        others = ["format", "serving_image", "max_pixels", "measure_memory"]
        export_litert(**flags.arguments(without=others))


COMMAND = Command("a trained model → SavedModel, LiteRT", define, run)
