"""The `sweep` command."""

from __future__ import annotations

from experiments.command_line.command import Command, Flags
from experiments.command_line.experiment import load_variants
from experiments.command_line.keys import list_keys
from experiments.command_line.model import define_features
from experiments.setup.config import ConfigError


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.string("data_dir", "data", "Folder of prepared data sets.")
    flags.string(
        "workdir",
        None,
        "Folder for the workdirs of all trainings and the table; default runs/NAME of the "
        "experiment.",
    )
    flags.list("rows", None, "Variants to train; default all of the experiment's.")
    flags.integer("seeds", 1, "Trainings of each variant: seeds 0, 1 and so on.", lower_bound=1)
    flags.string("segmenter", None, "Workdir of `segment`, for mIoU.", not_with="table_only")
    flags.integer(
        "max_images",
        None,
        "Most pictures to score; default all of the validation split.",
        not_with="table_only",
        lower_bound=2,
    )
    define_features(
        flags,
        "Networks whose features are compared; see evaluate --help.",
        not_with="table_only",
    )
    flags.boolean("table_only", False, "Write the table of what is done, and train nothing.")


def run(flags: Flags) -> int:
    """Trains and scores the variants of an experiment."""
    from experiments.commands.sweep.sweep import sweep

    variants = load_variants(flags.experiment)
    given = {key: list_keys(flags.config)[key] for key in flags.given_keys}
    for key in given:
        if len({list_keys(config)[key] for _, config in variants.values()}) > 1:
            raise ConfigError(f"--config.{key}: the variants differ in it; leave it out")
    for _, config in variants.values():
        config.change(given)
    failed = sweep(
        flags.experiment,
        variants,
        list(given),
        workdir=flags.workdir or f"runs/{flags.config.name}",
        **flags.arguments(without=["workdir"]),
    )
    return 1 if failed else 0


COMMAND = Command(
    "trains and scores all variants of an experiment, and writes a table",
    define,
    run,
    experiment="ablations",
)
