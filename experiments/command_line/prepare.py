"""The `prepare` command."""

from __future__ import annotations

import sys

from experiments.command_line.command import Command, Flags
from experiments.command_line.source import define_source


def define(flags: Flags) -> None:
    """Defines the flags."""
    define_source(flags)
    flags.string("data_dir", "data", "Folder of prepared data sets.")
    flags.enum("on_bad_file", "stop", ["stop", "skip"], "skip leaves it out and lists it.")
    flags.boolean(
        "overwrite", False, "Prepare anew what is prepared, such as after a change of files."
    )
    flags.string(
        "segmenter", None, "The network that labels.", only_with="dataset=flickr_landscapes"
    )
    flags.float("segmenter_scale", None, "Factor on pixel values.", only_with="segmenter")
    flags.float("segmenter_offset", None, "Added to them afterwards.", only_with="segmenter")
    flags.integer("height", None, "Height in pixels.", only_with="dataset=landscapes")
    flags.integer("width", None, "Width in pixels.", only_with="dataset=landscapes")
    flags.integer("num_train", None, "Pictures to train on.", only_with="dataset=landscapes")
    flags.integer("num_val", None, "Pictures to validate on.", only_with="dataset=landscapes")
    flags.integer(
        "seed", 0, "The pictures drawn are a function of it.", only_with="dataset=landscapes"
    )
    flags.string("beam_runner", None, "Prepare with Apache Beam on this runner: DirectRunner.")
    flags.list(
        "beam_options",
        [],
        "Options of Beam, such as direct_num_workers=2.",
        only_with="beam_runner",
    )


def run(flags: Flags) -> None:
    """Prepares a data set, and says what there is."""
    from pipelines.prepare.prepare import prepare

    summary = prepare(
        config=flags.config_name,
        off_palette=flags.off_palette or "stop",
        **flags.arguments(without=["config_name", "off_palette"]),
    )
    counts = ", ".join(f"{count} {split}" for split, count in summary["num_examples"].items())
    state = "already prepared" if summary["already_prepared"] else "prepared"
    print(
        f"{state}: {counts} in {sum(summary['num_shards'].values())} shards, "
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


COMMAND = Command("files → TFRecords, once per data set", define, run)
