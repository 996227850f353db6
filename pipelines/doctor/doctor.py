"""Examines the source files of a data set, and says what would go wrong in training and why."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

from pipelines.doctor.diagnosis import ERROR, WARNING, Diagnosis, Finding
from pipelines.doctor.examination import Examination
from pipelines.schema import ArgumentError, DataError
from pipelines.sources.catalogue import SourceOptions, make_builder
from pipelines.sources.listing import describe_left_out
from pipelines.sources.palettes import palette_options

if TYPE_CHECKING:
    from pipelines.sources.builders.files import FilesBuilder


def diagnose(
    dataset: str,
    source_dir: str | os.PathLike[str] | None,
    *,
    output_dir: str | os.PathLike[str] | None = None,
    max_files: int | None = None,
    **options: Unpack[SourceOptions],
) -> Diagnosis:
    """Examines the source files of a data set. Nothing is prepared.

    Args:
        dataset: one of `pipelines.sources.catalogue.DATASETS` that has source files.
        source_dir: the folder of the source files, or the file that lists them.
        output_dir: where `histogram.png` and `contact_sheet.png` go; None to draw none.
        max_files: of how many examples the files are read, evenly spread; all by default. Pairing
            is always checked for all.
        **options: how the source files are found and read; see `SourceOptions`.

    Raises:
        DataError: if an argument is bad or `output_dir` cannot be written. What is wrong with the
            data is found, not raised.
    """
    if dataset == "landscapes":
        raise ArgumentError(
            "dataset", "'landscapes' received, which is drawn and has no source files"
        )
    if max_files is not None and max_files < 1:
        raise ArgumentError("max_files", f"{max_files} received; give 1 or more")
    palette = palette_options(options.get("palette")).get("palette")
    try:
        builder = cast(
            "FilesBuilder",
            make_builder(
                dataset,
                data_dir=None,
                source_dir=source_dir,
                options=options,
                skip_bad_files=True,
            ),
        )
    except DataError as error:
        # An argument is a flag where findings are read.
        said = f"--{error}" if isinstance(error, ArgumentError) else str(error)
        message, _, remedy = said.partition("; ")
        return Diagnosis(
            dataset=dataset,
            source_dir=str(source_dir),
            num_examples={},
            findings=(Finding(ERROR, "folders", 1, message, remedy),),
        )
    examination = Examination(builder)
    examination.run(max_files)
    findings = examination.findings(palette.shared if palette else (), complete=max_files is None)
    if left_out := builder.left_out():
        remedy = "nothing, if they are no photographs or maps of this data set"
        findings.append(
            Finding(WARNING, "left out", len(left_out), describe_left_out(left_out), remedy)
        )
    histogram = contact_sheet = None
    if output_dir is not None:
        histogram, contact_sheet = examination.draw(dataset, Path(output_dir).expanduser())
    return Diagnosis(
        dataset=dataset,
        source_dir=str(source_dir),
        num_examples=dict(builder.num_examples),
        findings=tuple(sorted(findings, key=lambda found: found.severity != ERROR)),
        num_examined=examination.num_examined,
        names=examination.names,
        pixels=tuple(int(count) for count in examination.pixels),
        images=tuple(int(count) for count in examination.images),
        sizes=examination.sizes,
        histogram=histogram,
        contact_sheet=contact_sheet,
    )
