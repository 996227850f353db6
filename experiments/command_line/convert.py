"""The `convert` command."""

from __future__ import annotations

from experiments.command_line.command import Command, Flags


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.enum(
        "source",
        None,
        ["nvlabs"],
        "Convert from the official release.",
        not_with="target",
        required="--source=nvlabs to convert from the official release, or --target=nvlabs to "
        "convert to it",
    )
    flags.enum("target", None, ["nvlabs"], "Convert to the official release.")
    flags.string(
        "checkpoint_dir",
        None,
        "Folder of latest_net_G.pth and, if there are, latest_net_D.pth and latest_net_E.pth.",
        only_with="source",
        required="the folder of latest_net_G.pth, such as "
        "--checkpoint_dir=checkpoints/coco_pretrained",
    )
    flags.string(
        "model",
        None,
        "Workdir of a training.",
        only_with="target",
        required="the workdir of a training, such as --model=runs/landscapes",
    )
    flags.string(
        "options",
        None,
        "File of the checkpoint's options, JSON or opt.txt; default the one in the folder.",
        only_with="source",
    )
    flags.string("class_names", None, "File of class names, one a line.", only_with="source")
    flags.string("dataset", None, "Prepared data set to go on training on.", only_with="source")
    flags.string("data_dir", "data", "Folder of prepared data sets.", only_with="dataset")
    flags.boolean(
        "unknown_first", False, "Say that the official networks have id 0 for unknown, as ADE20K's."
    )
    flags.boolean(
        "legacy", False, "Write the file format of PyTorch before 1.6.", only_with="target"
    )
    flags.string(
        "output",
        None,
        "Folder to write; it must be new or empty.",
        required="a new folder to write, such as --output=runs/official",
    )


def run(flags: Flags) -> None:
    """Converts a model."""
    from experiments.commands.convert.convert import convert

    convert(**flags.arguments())


COMMAND = Command("reads and writes checkpoints of the official release", define, run)
