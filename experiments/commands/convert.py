"""The `convert` command."""

from __future__ import annotations

from experiments.commands.command import Command, Flags


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.enum("source", None, ["nvlabs"], "Convert from the official release.")
    flags.enum("target", None, ["nvlabs"], "Convert to the official release.")
    flags.string("checkpoint_dir", None, "source: folder of latest_net_G.pth and others.")
    flags.string("model", None, "target: workdir of a training.")
    flags.string("options", None, "source: options.json or opt.txt of the checkpoint.")
    flags.string("class_names", None, "source: file of class names, one a line.")
    flags.string("dataset", None, "source: prepared data set to go on training on.")
    flags.string("data_dir", "data", "source: folder of prepared data sets.")
    flags.boolean("unknown_first", False, "The official networks have id 0 for unknown.")
    flags.boolean("legacy", False, "target: the file format of PyTorch before 1.6.")
    flags.string("output", None, "Folder to write.", required=True)


def run(flags: Flags) -> None:
    """Converts a model."""
    from experiments.convert import convert

    convert(**flags.arguments())


COMMAND = Command(
    "checkpoints of the official release → a model of this project, and back", define, run
)
