"""The `generate` command."""

from __future__ import annotations

from experiments.command_line.command import Command, Flags


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string(
        "model",
        None,
        "Workdir of a training, or a SavedModel.",
        not_with="endpoint",
        required="the workdir of a training, such as --model=runs/landscapes, or a SavedModel; or "
        "a server with --endpoint=http://HOST:PORT",
    )
    flags.string("endpoint", None, "Server to ask: grpc://HOST:PORT or http://HOST:PORT.")
    flags.string(
        "model_name",
        None,
        "Name of the model on the server.",
        only_with="endpoint",
        required="the model's name on the server, such as --model_name=landscapes",
    )
    flags.string(
        "labels",
        None,
        "Folder of label maps; default the first ones of the validation split.",
    )
    flags.string(
        "instances", None, "Folder of instance maps with the same names.", only_with="labels"
    )
    flags.string("style_image", None, "Photograph whose style the pictures get.")
    flags.integer(
        "seed",
        0,
        "Number of the style; other numbers give other styles.",
        not_with="style_image",
    )
    flags.integer("num_samples", 1, "Pictures per label map, each in another style.", lower_bound=1)
    flags.integer("max_labels", None, "Most label maps to make pictures of.", lower_bound=1)
    flags.string("output_dir", "out", "Folder for the pictures.")
    flags.string(
        "data_dir",
        None,
        "Folder of prepared data sets, if it was moved since the training.",
        not_with="labels",
    )


def run(flags: Flags) -> None:
    """Makes pictures."""
    from experiments.commands.generate import generate

    arguments = flags.arguments()
    if not flags.given("seed"):
        # The function takes a seed for a mistake where the model has no styles to draw.
        arguments["seed"] = None
    generate(**arguments)


COMMAND = Command("makes pictures from label maps", define, run)
