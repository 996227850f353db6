"""The `benchmark` command."""

from __future__ import annotations

import sys

from experiments.commands.command import Command, Flags

SUITES = ("generator", "train", "style", "edit", "scaling", "input")


def define(flags: Flags) -> None:
    """Defines the flags."""
    flags.enum("suite", "generator", SUITES, "What to measure.")
    flags.string("labels", None, "Folder of label map PNGs; not for input.")
    flags.string("instances", None, "Folder of instance PNGs with the same names.")
    flags.integer("num_labels", 183, "Label ids of the generator, unknown included.")
    flags.integer("repeats", 3, "Runs per label map and case.")
    flags.integer("max_labels", None, "How many label maps.")
    flags.boolean("quick", False, "One small label map, once: ratios within two minutes.")
    flags.string("data_dir", "data", "input: folder of prepared data sets.")
    flags.string("dataset", "paired_folder", "input: the prepared data set.")


def run(flags: Flags) -> None:
    """Measures, and prints JSON lines."""
    if flags.suite == "input":
        from experiments.benchmark_input import benchmark_input

        benchmark_input(data_dir=flags.data_dir, dataset=flags.dataset, output=sys.stdout)
        return
    if flags.labels is None:
        raise ValueError(f"--suite={flags.suite} needs --labels, a folder of label map PNGs")
    from experiments.benchmark import benchmark

    benchmark(
        flags.suite,
        flags.config,
        **flags.arguments(without=["suite", "data_dir", "dataset"]),
    )


COMMAND = Command("timings as JSON lines", define, run, experiment="coco_stuff")
