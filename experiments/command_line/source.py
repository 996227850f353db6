"""The flags that say where a data set's files are and what they hold."""

from __future__ import annotations

from experiments.command_line.command import Flags


def define_source(flags: Flags) -> None:
    """Defines the flags that `prepare` and `doctor` share."""
    from pipelines.sources.catalogue import DATASETS
    from pipelines.sources.folders import FOLDERS
    from pipelines.sources.palettes import PALETTES

    flags.enum("dataset", "paired_folder", list(DATASETS), "Which data set.")
    flags.string(
        "source_dir",
        None,
        f"Folder of the source files. For paired_folder: {FOLDERS['paired_folder']}. For manifest: "
        f"{FOLDERS['manifest']}. For other data sets see docs/DATASETS.md.",
        not_with="dataset=landscapes",
        required="the folder of your photographs and label maps, such as --source_dir=photos; "
        "docs/DATASETS.md says how they must lie",
    )
    flags.string("config_name", None, "Configuration of the data set, such as outdoor of ade20k.")
    flags.integer("num_classes", None, "Number of classes, unknown not counted.")
    flags.list("class_names", None, "Names of the classes with commas between them, id 0 first.")
    flags.string(
        "palette",
        None,
        f"Colours of the masks, if they hold colours: {', '.join(PALETTES)}, or a file of colours; "
        "indices if they are palette PNGs whose indices are the ids.",
    )
    for kind, what, example in (
        ("image", "photographs", "images/{split}/*"),
        ("label", "label maps", "masks/{split}/*_mask"),
        ("instance", "instance maps", "instances/{split}/*"),
    ):
        flags.string(
            f"{kind}_files",
            None,
            f"Where the {what} lie, such as '{example}': {{split}} is train or val, and * is the "
            "name that files of one example share.",
            only_with="dataset=paired_folder",
        )
    flags.enum(
        "off_palette",
        None,
        ["stop", "unknown"],
        "What to do with colours that the palette lacks: stop, or take them for unknown.",
    )
