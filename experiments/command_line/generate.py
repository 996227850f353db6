"""The `generate` command."""

from __future__ import annotations

from experiments.command_line.command import Command, Flags


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string("model", None, "Workdir of a training, or a SavedModel.")
    flags.string("endpoint", None, "Server to ask: grpc://HOST:PORT or http://HOST:PORT.")
    flags.string("model_name", None, "Name of the model on the server.", only_with="endpoint")
    flags.string("labels", None, "Folder of label map PNGs; default the validation split.")
    flags.string(
        "instances", None, "Folder of instance PNGs with the same names.", only_with="labels"
    )
    flags.string("style_image", None, "Photograph whose style the pictures get.")
    flags.integer("seed", 0, "Seed of drawn styles.", not_with="style_image")
    flags.integer("num_samples", 1, "Pictures per label map, in different styles.")
    flags.integer("max_labels", None, "How many label maps.")
    flags.string("output_dir", "out", "Folder for the pictures.")
    flags.string(
        "data_dir", None, "Folder of the model's data set, if it was moved.", not_with="labels"
    )


def run(flags: Flags) -> None:
    """Makes pictures."""
    from experiments.commands.generate import generate

    arguments = flags.arguments()
    if not flags.given("seed"):
        # The function takes a seed for a mistake where the model has no styles to draw.
        arguments["seed"] = None
    generate(**arguments)


COMMAND = Command("label maps → pictures", define, run)
