"""The flags that say where a data set's files are and what they hold."""

from __future__ import annotations

from experiments.command_line.command import Flags


def define_source(flags: Flags) -> None:
    """Defines the flags that `prepare` and `doctor` share."""
    from pipelines.sources.catalogue import DATASETS
    from pipelines.sources.folders import FOLDERS
    from pipelines.sources.palettes import PALETTES

    flags.enum("dataset", "paired_folder", list(DATASETS), "Which data set.")
    folders = "; ".join(f"{name}: {files}" for name, files in FOLDERS.items())
    flags.string("source_dir", None, f"Folder of the source files. {folders}.")
    flags.string("config_name", None, "Which configuration of the data set, such as outdoor.")
    flags.integer("num_classes", None, "Number of classes, unknown not counted.")
    flags.list("class_names", None, "Names of the classes, id 0 first.")
    flags.string(
        "palette",
        None,
        f"For masks that hold colours: {', '.join(PALETTES)}, or a file of colours; indices: for "
        "masks with palettes whose indices are the ids.",
    )
    for kind, what in (
        ("image", "photographs"),
        ("label", "label maps"),
        ("instance", "instance maps"),
    ):
        flags.string(
            f"{kind}_files",
            None,
            f"paired_folder: where the {what} lie, such as '{{split}}_{kind}/*' or "
            f"'{kind}s/*_{kind}.png'; * is the name that they share.",
        )
    flags.enum("off_palette", None, ["stop", "unknown"], "What colours off the palette do.")
