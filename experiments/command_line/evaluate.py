"""The `evaluate` command."""

from __future__ import annotations

import dataclasses

from experiments.command_line.command import Command, Flags
from experiments.command_line.model import define_data_dir, define_features, define_model


def define(flags: Flags) -> None:
    """Defines the flags."""
    define_model(flags)
    _define_pictures(flags)
    _define_judges(flags)
    flags.enum(
        "style",
        None,
        ["photograph", "drawn"],
        "Style of the pictures: that of the real photograph, or a drawn one; default photograph, "
        "if the model has an encoder.",
    )
    flags.integer(
        "num_styles", 2, "Styles of each layout to compare with each other.", lower_bound=1
    )
    flags.integer("seed", 0, "Seed of drawn styles, subsets and intervals.", lower_bound=0)
    flags.integer("batch_size", 8, "Pictures per batch.", lower_bound=1)
    flags.enum("strategy", "auto", ["auto", "one", "mirrored"], "Devices to run on.")
    flags.integer(
        "num_virtual_cpus",
        1,
        "Devices to split the processor into.",
        not_with="strategy=one",
        lower_bound=1,
    )
    flags.string(
        "cache_dir",
        None,
        "Folder that keeps what networks saw in real pictures and learned from them; default in "
        "the user's cache folder; --cache_dir= keeps nothing.",
    )
    flags.string("output_dir", "out/evaluation", "Folder for evaluation.json and report.html.")


def _define_pictures(flags: Flags) -> None:
    flags.string("labels", None, "Folder of label maps; default the validation split.")
    flags.string(
        "images",
        None,
        "Folder of photographs with the names of the label maps.",
        only_with="labels",
        required="the folder of the photographs, such as --images=val_img",
    )
    flags.string(
        "instances", None, "Folder of instance maps with the same names.", only_with="labels"
    )
    define_data_dir(flags)
    flags.string("split", None, "Split to score; default the one held out.", not_with="labels")
    flags.integer("max_images", None, "Most pictures to score; default all.", lower_bound=2)


def _define_judges(flags: Flags) -> None:
    from experiments.commands.evaluate.options import FEATURES

    define_features(flags, f"Networks whose features are compared: {', '.join(FEATURES)}.")
    flags.boolean("lpips", True, "Measure perceptual distances.")
    flags.string("segmenter", None, "Workdir of `segment`, for mIoU.")
    flags.boolean(
        "attribute",
        True,
        "Find out how true styles are, where the data set has an attribute such as the time of "
        "day.",
        not_with="labels",
    )


def run(flags: Flags) -> None:
    """Scores a model."""
    from experiments.commands.evaluate.evaluate import evaluate
    from experiments.commands.evaluate.options import JudgedBy, Pictures, Styles
    from experiments.setup.output import user_cache_dir

    if flags.num_virtual_cpus > 1:
        from spade_tf.training.strategy import configure_virtual_cpus

        configure_virtual_cpus(flags.num_virtual_cpus)
    arguments = flags.arguments(without=["num_virtual_cpus"])
    for name, kind in (("pictures", Pictures), ("styles", Styles), ("judged_by", JudgedBy)):
        given = {field.name: arguments.pop(field.name) for field in dataclasses.fields(kind)}
        arguments[name] = kind(**given)
    if arguments["cache_dir"] is None:
        arguments["cache_dir"] = user_cache_dir() / "evaluation"
    evaluate(**arguments)


COMMAND = Command("how good a model's pictures are: evaluation.json and report.html", define, run)
