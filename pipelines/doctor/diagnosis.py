"""What an examination of a data set found, and how it is printed."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from pipelines.sources.wording import counted

ERROR, WARNING = "error", "warning"

_NUM_BINS = 40


class Finding(NamedTuple):
    """Something that was found.

    Attributes:
        severity: `"error"` if training would stop or go wrong, `"warning"` otherwise.
        kind: what it is, in a few words.
        num: of files, or of ids.
        message: what was found, with examples.
        remedy: how to put it right.
    """

    severity: str
    kind: str
    num: int
    message: str
    remedy: str


class Diagnosis(NamedTuple):
    """The result of an examination.

    Attributes:
        dataset: its name.
        source_dir: what was examined.
        num_examples: number of examples by split.
        findings: errors first.
        num_examined: number of examples whose files were read.
        names: of the ids; `unknown` last, if there is one.
        pixels: how many pixels have each id.
        images: in how many images each id occurs.
        sizes: smallest and largest height and width of the photographs.
        histogram: the bar chart, or None.
        contact_sheet: the sheet of overlays, or None.
    """

    dataset: str
    source_dir: str
    num_examples: dict[str, int]
    findings: tuple[Finding, ...]
    num_examined: int = 0
    names: tuple[str, ...] = ()
    pixels: tuple[int, ...] = ()
    images: tuple[int, ...] = ()
    sizes: tuple[tuple[int, int], tuple[int, int]] | None = None
    histogram: Path | None = None
    contact_sheet: Path | None = None

    @property
    def exit_status(self) -> int:
        """1 if training would go wrong, otherwise 0."""
        return int(any(finding.severity == ERROR for finding in self.findings))


def print_diagnosis(diagnosis: Diagnosis, file: TextIO | None = None) -> None:
    """Prints an examination: counts, the table of ids, then what was found.

    Args:
        diagnosis: the result of `pipelines.doctor.doctor.diagnose`.
        file: where to print; standard output by default.
    """
    out = file or sys.stdout
    counts = ", ".join(f"{count} {split}" for split, count in diagnosis.num_examples.items())
    print(f"{diagnosis.dataset} in {diagnosis.source_dir}: {counts or 'nothing'}", file=out)
    if diagnosis.sizes is not None:
        (low_height, low_width), (high_height, high_width) = diagnosis.sizes
        print(
            f"{diagnosis.num_examined} examples read; photographs {low_width} to {high_width} "
            f"pixels wide, {low_height} to {high_height} high",
            file=out,
        )
    _print_ids(diagnosis, out)
    print(file=out)
    for finding in diagnosis.findings:
        print(f"{finding.severity}: {finding.kind}: {finding.message}", file=out)
        if finding.remedy:
            print(f"  → {finding.remedy}", file=out)
    severities = Counter(finding.severity for finding in diagnosis.findings)
    if not diagnosis.findings:
        print("nothing is wrong", file=out)
    elif not severities[ERROR]:
        print(f"{counted(severities[WARNING], WARNING)}; training will run", file=out)
    else:
        errors, warnings = (counted(severities[name], name) for name in (ERROR, WARNING))
        print(f"{errors}, {warnings}", file=out)
    for path in (diagnosis.histogram, diagnosis.contact_sheet):
        if path is not None:
            print(f"drawn: {path}", file=out)


def _print_ids(diagnosis: Diagnosis, out: TextIO) -> None:
    total = sum(diagnosis.pixels)
    if not total:
        return
    print(f"\n{'id':>5}  {'name':<24} {'pixels':>8} {'images':>7}", file=out)
    for index in np.argsort(-np.asarray(diagnosis.pixels), kind="stable"):
        if not diagnosis.pixels[index]:
            break
        share = diagnosis.pixels[index] / total
        bar = "█" * max(1, round(_NUM_BINS * share / (max(diagnosis.pixels) / total)))
        print(
            f"{index:>5}  {diagnosis.names[index][:24]:<24} {100 * share:>6.2f} % "
            f"{diagnosis.images[index]:>7}  {bar}",
            file=out,
        )
