"""The `prepare` command."""

from __future__ import annotations

import sys

from experiments.commands.command import Command, Flags
from experiments.commands.source import define_source


def define(flags: Flags) -> None:
    """Defines the flags."""
    define_source(flags)
    flags.string("data_dir", "data", "Folder of prepared data sets.")
    flags.enum("on_bad_file", "stop", ["stop", "skip"], "skip leaves it out and lists it.")
    flags.string("segmenter", None, "flickr_landscapes: the network that labels.")
    flags.float("segmenter_scale", None, "flickr_landscapes: factor on pixel values.")
    flags.float("segmenter_offset", None, "flickr_landscapes: added to them afterwards.")
    flags.integer("height", None, "landscapes: height in pixels.")
    flags.integer("width", None, "landscapes: width in pixels.")
    flags.integer("num_train", None, "landscapes: pictures to train on.")
    flags.integer("num_val", None, "landscapes: pictures to validate on.")
    flags.integer("seed", 0, "landscapes: the pictures drawn are a function of it.")
    flags.string("beam_runner", None, "Prepare with Apache Beam on this runner: DirectRunner.")
    flags.list("beam_options", [], "Options of Beam, such as direct_num_workers=2.")


def run(flags: Flags) -> None:
    """Prepares a data set, and says what there is."""
    from pipelines.prepare import prepare

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
    if summary["skipped"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in summary["skipped"].items())
        print(f"skipped: {kinds}; listed in {summary['skipped_file']}", file=sys.stderr)
    if summary["left_out"]:
        from pipelines.listing import describe_left_out

        print(describe_left_out(summary["left_out"]), file=sys.stderr)
    if summary["num_off_palette"]:
        print(f"pixels off the palette: {summary['num_off_palette']}", file=sys.stderr)


COMMAND = Command("files → TFRecords, once per data set", define, run)
