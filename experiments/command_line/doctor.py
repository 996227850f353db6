"""The `doctor` command."""

from __future__ import annotations

from experiments.command_line.command import Command, Flags
from experiments.command_line.source import define_source


def define(flags: Flags) -> None:
    """Defines the flags."""
    define_source(flags)
    flags.string(
        "output_dir",
        None,
        "Folder for two pictures: histogram.png, and contact_sheet.png with maps over photographs.",
    )
    flags.integer("max_files", None, "Most examples to read; default all.", lower_bound=1)


def run(flags: Flags) -> int:
    """Examines a data set."""
    from pipelines.doctor.diagnosis import print_diagnosis
    from pipelines.doctor.doctor import diagnose

    diagnosis = diagnose(
        config=flags.config_name,
        off_palette=flags.off_palette or "stop",
        **flags.arguments(without=["config_name", "off_palette"]),
    )
    print_diagnosis(diagnosis)
    return diagnosis.exit_status


COMMAND = Command("says what is wrong with source files, and how to put it right", define, run)
