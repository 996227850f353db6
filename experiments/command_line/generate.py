"""The `generate` command."""

from __future__ import annotations

from experiments.command_line.command import Command, Flags
from experiments.command_line.model import define_data_dir, define_model


def define(flags: Flags) -> None:
    """Defines the flags."""
    define_model(flags, shipped=True)
    flags.string(
        "labels",
        None,
        "Folder of label maps; default the first ones of the validation split.",
    )
    flags.string(
        "instances", None, "Folder of instance maps with the same names.", only_with="labels"
    )
    flags.strings(
        "style_image",
        None,
        "Photograph whose style the pictures get. Or CLASS:FILE, the photograph whose style one "
        "class gets, by the name or id of the class. May be given several times; later ones win.",
    )
    flags.strings(
        "style_labels",
        None,
        "Label map of the photograph of --style_image, which tells whose pixels are whose. Without "
        "it, all of the photograph counts for every class. Give one for each, in the same order.",
        only_with="style_image",
    )
    flags.string(
        "resample_class",
        None,
        "Name or id of a class whose style is drawn anew for each of --num_samples, all else "
        "being the same.",
    )
    flags.integer(
        "seed",
        0,
        "Number of the style; other numbers give other styles. Not with a --style_image of the "
        "whole picture, unless with --resample_class.",
    )
    flags.integer("num_samples", 1, "Pictures per label map, each in another style.", lower_bound=1)
    flags.integer(
        "max_labels",
        None,
        "Most label maps to make pictures of; default all of --labels, or 8 of the data set.",
        lower_bound=1,
    )
    flags.integer("batch_size", 8, "Most pictures to make at once.", lower_bound=1)
    flags.string("output_dir", "out", "Folder for the pictures.")
    define_data_dir(flags)


def run(flags: Flags) -> None:
    """Makes pictures."""
    from experiments.commands.generate import generate
    from experiments.setup.picture_styles import StyleSource

    arguments = flags.arguments()
    images, labels = (arguments.pop(f"style_{name}") or () for name in ("image", "labels"))
    arguments["styles"] = StyleSource(images, labels, arguments.pop("resample_class"))
    if not flags.given("seed"):
        # The function takes a seed for a mistake where the model has no styles to draw.
        arguments["seed"] = None
    generate(**arguments)


COMMAND = Command("makes pictures from label maps", define, run)
