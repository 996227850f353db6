"""The `benchmark` command."""

from __future__ import annotations

import sys

from experiments.command_line.command import Command, Flags
from experiments.setup.config import ConfigError

# What is timed is made of these.
KEYS = ("data.height", "data.width", "data.use_instance", "generator.filters")
SUITES = ("generator", "train", "style", "edit", "scaling", "input", "device")


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.enum("suite", "generator", SUITES, "What to measure.")
    flags.string(
        "labels",
        None,
        "Folder of label map PNGs.",
        not_with="suite=input or device",
        required="a folder of label map PNGs, such as --labels=photos/val_label",
    )
    flags.string(
        "instances", None, "Folder of instance PNGs with the same names.", only_with="labels"
    )
    flags.integer(
        "num_labels",
        183,
        "Number of label ids of the generator, unknown included.",
        only_with="labels",
    )
    flags.integer("repeats", 3, "Runs per label map and case.", not_with="quick")
    flags.integer(
        "max_labels", None, "Most label maps to time.", only_with="labels", not_with="quick"
    )
    flags.boolean(
        "quick",
        False,
        "Time small pictures once: ratios within minutes.",
        not_with="suite=input",
    )
    flags.string("data_dir", "data", "Folder of prepared data sets.", only_with="suite=input")
    flags.string("dataset", "paired_folder", "The prepared data set.", only_with="suite=input")


def run(flags: Flags) -> None:
    """Measures, and prints JSON lines."""
    if flags.suite == "input":
        useless = ("config", "repeats", "max_labels")
        for name in flags.absl:
            if name.startswith(useless) and flags.given(name):
                raise ConfigError(f"--{name}: no effect with --suite=input; leave it out")
        from experiments.commands.benchmark.input import benchmark_input

        benchmark_input(data_dir=flags.data_dir, dataset=flags.dataset, output=sys.stdout)
        return
    from experiments.commands.benchmark.benchmark import benchmark

    benchmark(
        flags.suite,
        flags.config,
        **flags.arguments(without=["suite", "data_dir", "dataset"]),
    )


COMMAND = Command(
    "times generators and training, and prints JSON lines",
    define,
    run,
    experiment="coco_stuff",
    keys=KEYS,
)
