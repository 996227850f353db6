"""Examines the source files of a data set, and says what would go wrong in training and why."""

from __future__ import annotations

import functools
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from pipelines import schema
from pipelines.doctor import charts
from pipelines.schema import BadFileError, DataError
from pipelines.sources import inspection, label_files, pictures
from pipelines.sources.catalogue import make_builder
from pipelines.sources.listing import Pair, describe_left_out, enumerate_few
from pipelines.sources.palettes import palette_options

_NUM_SAMPLES = 8
_NUM_BINS = 40

# Of the steps between neighbours along a row, how many lie half-way between their neighbours'
# ids: clean maps of COCO-Stuff have up to 0.015, the same after JPEG 0.08 to 0.26, scaled
# smoothly 0.35 to 0.56.
_BLENDED_SHARE = 0.06
_FEWEST_STEPS = 50
# Above this share of pixels a map is all borders, and nothing can be told from them.
_TEXTURED_SHARE = 0.5
_MOSTLY_UNKNOWN = 0.5

ERROR, WARNING = "error", "warning"


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
        num_examined: number of examples whose files were read.
        findings: errors first.
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
    num_examined: int
    findings: tuple[Finding, ...]
    names: tuple[str, ...]
    pixels: tuple[int, ...]
    images: tuple[int, ...]
    sizes: tuple[tuple[int, int], tuple[int, int]] | None
    histogram: Path | None
    contact_sheet: Path | None

    @property
    def exit_status(self) -> int:
        """1 if training would go wrong, otherwise 0."""
        return int(any(finding.severity == ERROR for finding in self.findings))


def diagnose(
    dataset: str,
    source_dir: str | os.PathLike[str],
    *,
    output_dir: str | os.PathLike[str] | None = None,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    palette: str | os.PathLike[str] | None = None,
    config: str | None = None,
    off_palette: str = "stop",
    image_files: str | None = None,
    label_files: str | None = None,
    instance_files: str | None = None,
    max_files: int | None = None,
) -> Diagnosis:
    """Examines the source files of a data set; nothing is prepared.

    Args:
        dataset: one of `pipelines.sources.catalogue.DATASETS` that has source files.
        source_dir: as for `pipelines.prepare.prepare.prepare`.
        output_dir: where `histogram.png` and `contact_sheet.png` go; None to draw none.
        num_classes: number of classes, unknown not counted, of one's own data.
        class_names: their names, id 0 first.
        palette: a named palette or a file, where label maps hold colours.
        config: which configuration of the data set.
        off_palette: `"unknown"` to take colours off the palette for unknown.
        image_files: see `pipelines.prepare.prepare.prepare`, as for the next two.
        label_files: pattern of the label maps.
        instance_files: pattern of the instance maps.
        max_files: of how many examples the files are read, evenly spread; all by default. Pairing
            is always checked for all.

    Raises:
        DataError: if an argument is bad or `output_dir` cannot be written. What is wrong with the
            data is found, not raised.
    """
    if dataset == "landscapes":
        raise DataError("dataset: 'landscapes' received, which is drawn and has no source files")
    if max_files is not None and max_files < 1:
        raise DataError(f"max_files: {max_files} received; give 1 or more")
    colors = palette_options(palette)
    try:
        builder: Any = make_builder(
            dataset,
            data_dir=None,
            source_dir=source_dir,
            options={
                "config": config,
                "num_classes": num_classes,
                "class_names": class_names,
                **colors,
                "off_palette_unknown": True if off_palette == "unknown" else None,
                "image_files": image_files,
                "label_files": label_files,
                "instance_files": instance_files,
                "skip_bad_files": True,
            },
        )
    except DataError as error:
        message, _, remedy = str(error).partition("; ")
        return Diagnosis(
            dataset=dataset,
            source_dir=str(source_dir),
            num_examples={},
            num_examined=0,
            findings=(Finding(ERROR, "layout", 1, message, remedy),),
            names=(),
            pixels=(),
            images=(),
            sizes=None,
            histogram=None,
            contact_sheet=None,
        )
    examination = _Examination(builder)
    examination.run(max_files)
    loaded = colors.get("palette")
    shared = () if loaded is None else loaded.shared
    findings = examination.findings(shared, complete=max_files is None)
    if left_out := builder.left_out():
        findings.append(
            Finding(
                WARNING,
                "left out",
                len(left_out),
                describe_left_out(left_out),
                "nothing, if they are no photographs or maps of this data set",
            )
        )
    histogram = contact_sheet = None
    if output_dir is not None:
        histogram, contact_sheet = examination.draw(dataset, Path(output_dir).expanduser())
    return Diagnosis(
        dataset=dataset,
        source_dir=str(source_dir),
        num_examples=dict(builder.num_examples),
        num_examined=examination.num_examined,
        findings=tuple(sorted(findings, key=lambda found: found.severity != ERROR)),
        names=examination.names,
        pixels=tuple(int(count) for count in examination.pixels),
        images=tuple(int(count) for count in examination.images),
        sizes=examination.sizes,
        histogram=histogram,
        contact_sheet=contact_sheet,
    )


class _Examination:
    """Reads the files of a data set and counts."""

    def __init__(self, builder: Any) -> None:
        label_set = builder.label_set
        self._pairs: list[Pair] = [pair for pairs in builder.items().values() for pair in pairs]
        self._label_set = label_set
        self._bad: list[BadFileError] = [bad for _, bad in builder.skipped]
        self._samples: list[charts.Sample] = []
        self._turned: Counter[int] = Counter()
        self._flat_instances = 0
        self._num_instances = 0
        self.num_examined = 0
        self.names = (*label_set.class_names, *("unknown",) * label_set.has_unknown)
        self.pixels = np.zeros(label_set.num_ids, np.int64)
        self.images = np.zeros(label_set.num_ids, np.int64)
        self.sizes: tuple[tuple[int, int], tuple[int, int]] | None = None

    def run(self, max_files: int | None) -> None:
        count = len(self._pairs) if max_files is None else min(max_files, len(self._pairs))
        chosen = [self._pairs[i * len(self._pairs) // count] for i in range(count)]
        shown = {i * count // _NUM_SAMPLES for i in range(_NUM_SAMPLES)}
        for number, pair in enumerate(chosen):
            self._examine(pair, shown=number in shown)
            self.num_examined += 1

    def _examine(self, pair: Pair, shown: bool) -> None:
        image = self._try(lambda: pictures.read_image(pair.image))
        if image is not None:
            self._turned[image.orientation] += image.orientation != 1
            height, width = image.height, image.width
            low, high = self.sizes or ((height, width), (height, width))
            self.sizes = (
                (min(low[0], height), min(low[1], width)),
                (max(high[0], height), max(high[1], width)),
            )
        label = instance = None
        if pair.label is not None:
            label = self._try(lambda: self._label(pair.label))
        if pair.instance is not None:
            instance = self._try(lambda: pictures.read_instances(pair.instance))
        condition = None
        if pair.condition is not None:
            condition = self._try(lambda: pictures.read_condition(pair.condition))
        for shape, path in (
            (None if label is None else label.shape, pair.label),
            (None if instance is None else instance.shape, pair.instance),
            (None if condition is None else condition[1], pair.condition),
        ):
            if shape is not None and path is not None and image is not None:
                num_bad = len(self._bad)
                self._try(
                    functools.partial(inspection.check_same_size, shape, path, image, pair.image)
                )
                if len(self._bad) > num_bad:
                    return
        if instance is not None:
            self._num_instances += 1
            self._flat_instances += bool((instance == instance.flat[0]).all())
        if label is None:
            return
        counts = np.bincount(label.ravel(), minlength=len(self.pixels))
        self.pixels += counts
        self.images += counts > 0
        if shown and image is not None:
            pixels = inspection.decode_image(image.encoded)
            self._samples.append(charts.Sample(pair.stem, pixels, label))

    def _label(self, path: Path) -> np.ndarray:
        label, _ = label_files.read_label(path, self._label_set)
        share, steps = blended_share(label)
        telling = _FEWEST_STEPS <= steps <= _TEXTURED_SHARE * label.size
        if telling and share > _BLENDED_SHARE:
            raise BadFileError(
                path,
                "blended ids",
                f"{100 * share:.0f} % of its steps from id to id go through ids in between, as in "
                "a mask that was scaled smoothly, drawn with anti-aliasing or saved as JPEG; scale "
                "masks by nearest neighbour, draw them without anti-aliasing, and never save them "
                "as JPEG on the way",
            )
        return label

    def _try(self, check: Any) -> Any:
        try:
            return check()
        except BadFileError as bad:
            self._bad.append(bad)
            return None

    def findings(self, shared_colors: Sequence[schema.Color], complete: bool) -> list[Finding]:
        found = []
        by_kind: dict[str, list[BadFileError]] = {}
        for bad in self._bad:
            by_kind.setdefault(bad.kind, []).append(bad)
        for kind, bads in by_kind.items():
            examples = enumerate_few([bad.path for bad in bads])
            message, _, remedy = bads[0].message.partition("; ")
            found.append(
                Finding(
                    ERROR,
                    kind,
                    len(bads),
                    f"{len(bads)} files: {examples}. First: {message}",
                    remedy,
                )
            )
        if num_turned := self._turned.total():
            counts = ", ".join(f"{n} have {value}" for value, n in sorted((+self._turned).items()))
            found.append(
                Finding(
                    WARNING,
                    "EXIF orientation",
                    num_turned,
                    f"{num_turned} of {self.num_examined} photographs are stored turned or "
                    f"mirrored ({counts}); they are read upright",
                    "check in the contact sheet (--output_dir) that the maps lie over them; where "
                    "maps were drawn over the pixels as they are stored, remove the tag: "
                    "exiftool -Orientation= FILES",
                )
            )
        if self._label_set.condition_channels or not self.pixels.sum():
            return found
        classes = self.pixels[: self._label_set.num_classes]
        unused = [f"{i} {self.names[i]}" for i in np.flatnonzero(classes == 0)]
        if unused:
            among = "" if complete else f" in the {self.num_examined} examples read"
            found.append(
                Finding(
                    WARNING,
                    "unused ids",
                    len(unused),
                    f"{len(unused)} of {len(classes)} classes never occur{among}: "
                    f"{enumerate_few(unused)}",
                    "lower --num_classes if they are no classes; otherwise they will not be learnt",
                )
            )
        unknown = self.pixels[self._label_set.num_classes :].sum() / self.pixels.sum()
        if unknown > _MOSTLY_UNKNOWN:
            found.append(
                Finding(
                    WARNING,
                    "mostly unknown",
                    1,
                    f"{100 * unknown:.0f} % of all pixels are unknown",
                    "check the ids or the palette: the pictures will be learnt from little",
                )
            )
        if self._flat_instances and self._flat_instances == self._num_instances:
            found.append(
                Finding(
                    WARNING,
                    "flat instance maps",
                    self._flat_instances,
                    f"all {self._num_instances} instance maps have one id each: no edges",
                    "make them again, or remove them",
                )
            )
        if shared_colors:
            found.append(
                Finding(
                    WARNING,
                    "shared colours",
                    len(shared_colors),
                    f"the palette gives several ids the same colour: "
                    f"{enumerate_few(list(shared_colors))}; the lowest id is taken",
                    "use maps of ids where the difference matters",
                )
            )
        return found

    def draw(self, dataset: str, directory: Path) -> tuple[Path | None, Path | None]:
        if not self.pixels.sum():
            return None, None
        shares = (self.pixels / self.pixels.sum()).tolist()
        palette = self._label_set.palette
        title = f"{dataset}: {self.num_examined} label maps"
        drawn = {"histogram.png": charts.histogram(title, self.names, shares, palette)}
        if self._samples:
            drawn["contact_sheet.png"] = charts.contact_sheet(self._samples, self.names, palette)
        written = {}
        for name, image in drawn.items():
            written[name] = directory / name
            temporary = directory / f".{name}.part"
            try:
                directory.mkdir(parents=True, exist_ok=True)
                image.save(temporary, "PNG")
                os.replace(temporary, written[name])
            except OSError as error:
                raise DataError(
                    f"output_dir: {directory} cannot be written "
                    f"({error.strerror or type(error).__name__}); give another --output_dir"
                ) from None
        return written["histogram.png"], written.get("contact_sheet.png")


def blended_share(label: np.ndarray) -> tuple[float, int]:
    """Tells how far a map of ids looks as if ids had been averaged.

    Args:
        label: integer array `[H, W]`.

    Returns:
        Of all pixels that differ from one of their neighbours in the row, the share of those
        whose id lies strictly between the two, and how many differ.
    """
    ids = label.astype(np.int32)
    left = ids[:, 1:-1] - ids[:, :-2]
    right = ids[:, 2:] - ids[:, 1:-1]
    differ = int(((left != 0) | (right != 0)).sum())
    return (float((left * right > 0).sum() / differ) if differ else 0.0), differ


def print_diagnosis(diagnosis: Diagnosis, file: TextIO | None = None) -> None:
    """Prints an examination: counts, the table of ids, then what was found.

    Args:
        diagnosis: the result of `diagnose`.
        file: where to; standard output by default.
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
    total = sum(diagnosis.pixels)
    if total:
        print(f"\n{'id':>5}  {'name':<24} {'pixels':>8} {'images':>7}", file=out)
        order = np.argsort(-np.asarray(diagnosis.pixels), kind="stable")
        for index in order:
            if not diagnosis.pixels[index]:
                break
            share = diagnosis.pixels[index] / total
            bar = "█" * max(1, round(_NUM_BINS * share / (max(diagnosis.pixels) / total)))
            print(
                f"{index:>5}  {diagnosis.names[index][:24]:<24} {100 * share:>6.2f} % "
                f"{diagnosis.images[index]:>7}  {bar}",
                file=out,
            )
    print(file=out)
    for finding in diagnosis.findings:
        print(f"{finding.severity}: {finding.kind}: {finding.message}", file=out)
        if finding.remedy:
            print(f"  → {finding.remedy}", file=out)
    severities = Counter(finding.severity for finding in diagnosis.findings)
    if not diagnosis.findings:
        print("nothing is wrong", file=out)
    elif not severities[ERROR]:
        print(f"{severities[WARNING]} warnings; training will run", file=out)
    else:
        print(f"{severities[ERROR]} errors, {severities[WARNING]} warnings", file=out)
    for path in (diagnosis.histogram, diagnosis.contact_sheet):
        if path is not None:
            print(f"drawn: {path}", file=out)
