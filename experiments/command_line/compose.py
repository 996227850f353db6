"""The `compose` command."""

from __future__ import annotations

import sys

from experiments.command_line.command import Command, Flags


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string("dataset", "landscapes/64x64", "Prepared data set whose label maps get canvases.")
    flags.string("data_dir", "data", "Folder of prepared data sets.")
    flags.integer("bank_size", 1000, "Most segments of a class to choose from.", lower_bound=1)
    flags.integer(
        "seed",
        0,
        "Number that the choice follows from, of classes with more segments.",
        lower_bound=0,
    )
    flags.boolean(
        "overwrite", False, "Compose again what is composed already, such as with another size."
    )


def run(flags: Flags) -> None:
    """Composes canvases, and says what there is."""
    from pipelines.prepare.compose import compose_canvases

    summary = compose_canvases(**flags.arguments())
    counts = ", ".join(f"{count} {split}" for split, count in summary["num_examples"].items())
    state = "already composed" if summary["already_composed"] else "composed"
    print(f"{state}: {counts}, {summary['seconds']:.1f} s: {summary['path']}", file=sys.stderr)


COMMAND = Command(
    "adds canvases of pieces of training pictures to a data set, for SIMS", define, run
)
