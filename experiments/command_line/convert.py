"""The `convert` command."""

from __future__ import annotations

from experiments.command_line.command import Command, Flags


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.enum("source", None, ["nvlabs"], "Convert from the official release.")
    flags.enum("target", None, ["nvlabs"], "Convert to the official release.")
    flags.string(
        "checkpoint_dir", None, "Folder of latest_net_G.pth and others.", only_with="source"
    )
    flags.string("model", None, "Workdir of a training.", only_with="target")
    flags.string("options", None, "Options.json or opt.txt of the checkpoint.", only_with="source")
    flags.string("class_names", None, "File of class names, one a line.", only_with="source")
    flags.string("dataset", None, "Prepared data set to go on training on.", only_with="source")
    flags.string("data_dir", "data", "Folder of prepared data sets.", only_with="dataset")
    flags.boolean("unknown_first", False, "The official networks have id 0 for unknown.")
    flags.boolean("legacy", False, "The file format of PyTorch before 1.6.", only_with="target")
    flags.string("output", None, "Folder to write.", required=True)


def run(flags: Flags) -> None:
    """Converts a model."""
    from experiments.commands.convert.convert import convert

    convert(**flags.arguments())


COMMAND = Command(
    "checkpoints of the official release → a model of this project, and back", define, run
)
