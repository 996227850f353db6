"""The `segment` command."""

from __future__ import annotations

from experiments.command_line.command import Command, Flags


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string("dataset", "landscapes/128x128", "Prepared data set to learn from.")
    flags.string("data_dir", "data", "Folder of prepared data sets.")
    flags.string(
        "workdir",
        None,
        "Folder for the segmenter and its checkpoints.",
        required="a folder to write, such as --workdir=runs/segmenter",
    )
    flags.integer("height", 128, "Height of pictures in pixels, a multiple of 32.")
    flags.integer("width", None, "Width of pictures in pixels; default the height.")
    flags.integer("steps", 3000, "Training steps.", lower_bound=1)
    flags.integer("batch_size", 8, "Pictures per step.", lower_bound=1)
    flags.float("learning_rate", 5e-4, "Highest learning rate.")
    flags.integer("checkpoint_every", 250, "Steps between checkpoints.", lower_bound=1)
    flags.integer("seed", 0, "Seed of weights and order.", lower_bound=0, upper_bound=2**32 - 1)


def run(flags: Flags) -> None:
    """Trains a segmenter."""
    from experiments.commands.segment import segment

    segment(**flags.arguments())


COMMAND = Command("trains a segmenter on a data set, to evaluate with", define, run)
