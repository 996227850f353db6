"""The `study` command."""

from __future__ import annotations

from experiments.command_line.command import Command, Flags
from experiments.command_line.model import define_data_dir


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.list(
        "models",
        None,
        "Two models to compare: workdirs of trainings, SavedModels, or LiteRT files.",
        not_with="answers",
        required="two workdirs, such as --models=runs/a,runs/b, or answers to count with "
        "--answers=DIR",
    )
    flags.string("answers", None, "Folder of the CSV files of all who answered, to count.")
    flags.string(
        "output_dir",
        "out/study",
        "Folder of the study: the page, the key and, with --answers, the preference.",
    )
    define_data_dir(flags, not_with="answers")
    flags.string("split", None, "Split to show; default the one held out.", not_with="answers")
    flags.integer("num_layouts", 40, "Layouts to show.", not_with="answers", lower_bound=1)
    flags.integer(
        "num_checks", 4, "Attention checks among them.", not_with="answers", lower_bound=0
    )
    flags.integer(
        "seed",
        0,
        "Seed of the choice of layouts, and of drawn styles.",
        not_with="answers",
        lower_bound=0,
    )
    flags.float(
        "min_checks",
        0.75,
        "Share of the attention checks that somebody has to pass to be counted.",
        only_with="answers",
    )


def run(flags: Flags) -> None:
    """Makes a study, or counts its answers."""
    if flags.answers is not None:
        from experiments.commands.study.answers import count_answers

        count_answers(flags.answers, output_dir=flags.output_dir, min_checks=flags.min_checks)
        return
    from experiments.commands.study.make import make_study

    make_study(**flags.arguments(without=["answers", "min_checks"]))


COMMAND = Command("asks people which of two models makes better pictures", define, run)
