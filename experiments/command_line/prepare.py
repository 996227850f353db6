"""The `prepare` command."""

from __future__ import annotations

import sys

from experiments.command_line.command import Command, Flags
from experiments.command_line.source import define_source
from pipelines.sources.wording import counted


def define(flags: Flags) -> None:
    """Defines the flags."""
    define_source(flags)
    flags.string("data_dir", "data", "Folder of prepared data sets.")
    flags.enum(
        "on_bad_file",
        "stop",
        ["stop", "skip"],
        "What to do with a bad file: stop, or leave it out and list it.",
    )
    flags.boolean(
        "overwrite",
        False,
        "Prepare again what is prepared already, such as after files were changed.",
    )
    flags.string(
        "segmenter",
        None,
        "The segmentation network that labels the photographs.",
        only_with="dataset=flickr_landscapes",
    )
    flags.float(
        "segmenter_scale",
        None,
        "What pixel values, 0 to 255, are multiplied by for the network.",
        only_with="segmenter",
    )
    flags.float(
        "segmenter_offset", None, "What is added to them after that.", only_with="segmenter"
    )
    flags.integer(
        "height", None, "Height of the pictures, in pixels.", only_with="dataset=landscapes"
    )
    flags.integer(
        "width", None, "Width of the pictures, in pixels.", only_with="dataset=landscapes"
    )
    flags.integer(
        "num_train", None, "How many pictures to train on.", only_with="dataset=landscapes"
    )
    flags.integer(
        "num_val", None, "How many pictures to validate on.", only_with="dataset=landscapes"
    )
    flags.integer(
        "seed", 0, "Number that the drawn pictures follow from.", only_with="dataset=landscapes"
    )
    flags.integer(
        "num_processes",
        None,
        "Processes that read or draw pictures; default as many as there are cores.",
        not_with="beam_runner",
        lower_bound=1,
    )
    flags.string(
        "beam_runner", None, "Prepare with Apache Beam, on this runner, such as DirectRunner."
    )
    flags.list(
        "beam_options",
        [],
        "Options of Beam, such as direct_num_workers=2.",
        only_with="beam_runner",
    )


def run(flags: Flags) -> None:
    """Prepares a data set, and says what there is."""
    from pipelines.prepare.prepare import prepare
    from pipelines.prepare.read_ahead import num_cores

    summary = prepare(
        config=flags.config_name,
        off_palette=flags.off_palette or "stop",
        num_processes=flags.num_processes or num_cores(),
        **flags.arguments(without=["config_name", "off_palette", "num_processes"]),
    )
    counts = ", ".join(f"{count} {split}" for split, count in summary["num_examples"].items())
    state = "already prepared" if summary["already_prepared"] else "prepared"
    print(
        f"{state}: {counts} in {counted(sum(summary['num_shards'].values()), 'shard')}, "
        f"{summary['num_bytes'] / 2**20:.1f} MiB, {summary['seconds']:.1f} s: {summary['path']}",
        file=sys.stderr,
    )
    if not summary["sources_known"]:
        print(
            "prepared before files were kept track of: changes of files are not noticed; "
            "--overwrite prepares it anew",
            file=sys.stderr,
        )
    if summary["skipped"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in summary["skipped"].items())
        print(f"skipped: {kinds}; listed in {summary['skipped_file']}", file=sys.stderr)
    if summary["left_out"]:
        from pipelines.sources.listing import describe_left_out

        print(describe_left_out(summary["left_out"]), file=sys.stderr)
    if summary["num_off_palette"]:
        print(f"pixels off the palette: {summary['num_off_palette']}", file=sys.stderr)


COMMAND = Command("turns photographs and label maps into a data set to train on", define, run)
