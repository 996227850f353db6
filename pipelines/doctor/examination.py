"""Reads the files of a data set, and finds what would go wrong in training."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pipelines.doctor import charts
from pipelines.doctor.diagnosis import ERROR, WARNING, Finding
from pipelines.schema import ArgumentError, BadFileError, Color
from pipelines.sources import inspection, label_files, pictures
from pipelines.sources.listing import enumerate_few
from pipelines.sources.pairing import Pair
from pipelines.sources.wording import counted

if TYPE_CHECKING:
    from pipelines.sources.builders.files import FilesBuilder

T = TypeVar("T")

_NUM_SAMPLES = 8
# The share of the steps along a row whose id lies between those of both neighbours. Clean maps of
# COCO-Stuff have up to 0.015; after JPEG they have 0.08 to 0.26, scaled smoothly 0.35 to 0.56.
_BLENDED_SHARE = 0.06
_FEWEST_STEPS = 50
# A map with more steps per pixel is all borders, which tell nothing.
_TEXTURED_SHARE = 0.5
_MOSTLY_UNKNOWN = 0.5


class Examination:
    """Reads the files of a data set and counts.

    Args:
        builder: of the data set.

    Attributes:
        num_examined: number of examples whose files were read.
        names: names of the ids; `unknown` last, if there is one.
        pixels: number of pixels of each id.
        images: number of images in which each id occurs.
        sizes: smallest and largest height and width of the photographs.
    """

    def __init__(self, builder: FilesBuilder) -> None:
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
        """Reads the files of all examples, or of `max_files` of them, evenly spread."""
        count = len(self._pairs) if max_files is None else min(max_files, len(self._pairs))
        chosen = [self._pairs[i * len(self._pairs) // count] for i in range(count)]
        shown = {i * count // _NUM_SAMPLES for i in range(_NUM_SAMPLES)}
        for number, pair in enumerate(chosen):
            self._examine(pair, shown=number in shown)
            self.num_examined += 1

    def _examine(self, pair: Pair, shown: bool) -> None:
        image = self._try(pictures.read_image, pair.image)
        if image is not None:
            self._turned[image.orientation] += image.orientation != 1
            height, width = image.height, image.width
            low, high = self.sizes or ((height, width), (height, width))
            self.sizes = (
                (min(low[0], height), min(low[1], width)),
                (max(high[0], height), max(high[1], width)),
            )
        label = self._try(self._label, pair.label)
        instance = self._try(pictures.read_instances, pair.instance)
        condition = self._try(pictures.read_condition, pair.condition)
        for shape, path in (
            (None if label is None else label.shape, pair.label),
            (None if instance is None else instance.shape, pair.instance),
            (None if condition is None else condition[1], pair.condition),
        ):
            if shape is not None and path is not None and image is not None:
                try:
                    inspection.check_same_size(shape, path, image, pair.image)
                except BadFileError as bad:
                    self._bad.append(bad)
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

    def _try(self, read: Callable[[Path], T], path: Path | None) -> T | None:
        if path is None:
            return None
        try:
            return read(path)
        except BadFileError as bad:
            self._bad.append(bad)
            return None

    def findings(self, shared_colors: Sequence[Color], complete: bool) -> list[Finding]:
        """Returns what was found.

        Args:
            shared_colors: colours of the palette that stand for several ids.
            complete: whether the files of all examples were read.
        """
        found = [*self._bad_files(), *self._turned_photographs()]
        if self._label_set.condition_channels or not self.pixels.sum():
            return found
        return [*found, *self._ids(shared_colors, complete)]

    def _bad_files(self) -> Iterator[Finding]:
        by_kind: dict[str, list[BadFileError]] = {}
        for bad in self._bad:
            by_kind.setdefault(bad.kind, []).append(bad)
        for kind, bads in by_kind.items():
            examples = enumerate_few([bad.path for bad in bads])
            message, _, remedy = bads[0].message.partition("; ")
            found = f"{counted(len(bads), 'file')}: {examples}. First: {message}"
            yield Finding(ERROR, kind, len(bads), found, remedy)

    def _turned_photographs(self) -> Iterator[Finding]:
        if num_turned := self._turned.total():
            counts = ", ".join(f"{n} have {value}" for value, n in sorted((+self._turned).items()))
            yield Finding(
                WARNING,
                "EXIF orientation",
                num_turned,
                f"{num_turned} of {self.num_examined} photographs are stored turned or mirrored "
                f"({counts}); they are read upright",
                "check in the contact sheet (--output_dir) that the maps lie over them; where maps "
                "were drawn over the pixels as they are stored, remove the tag: "
                "exiftool -Orientation= FILES",
            )

    def _ids(self, shared_colors: Sequence[Color], complete: bool) -> Iterator[Finding]:
        num_classes = self._label_set.num_classes
        unused = [f"{i} {self.names[i]}" for i in np.flatnonzero(self.pixels[:num_classes] == 0)]
        if unused:
            among = "" if complete else f" in the {self.num_examined} examples read"
            yield Finding(
                WARNING,
                "unused ids",
                len(unused),
                f"{len(unused)} of {num_classes} classes never occur{among}: "
                f"{enumerate_few(unused)}",
                "lower --num_classes if they are no classes; otherwise they will not be learnt",
            )
        unknown = self.pixels[num_classes:].sum() / self.pixels.sum()
        if unknown > _MOSTLY_UNKNOWN:
            yield Finding(
                WARNING,
                "mostly unknown",
                1,
                f"{100 * unknown:.0f} % of all pixels are unknown",
                "check the ids or the palette: the pictures will be learnt from little",
            )
        if self._flat_instances and self._flat_instances == self._num_instances:
            yield Finding(
                WARNING,
                "flat instance maps",
                self._flat_instances,
                f"all {self._num_instances} instance maps have one id each: no edges",
                "make them again, or remove them",
            )
        if shared_colors:
            yield Finding(
                WARNING,
                "shared colours",
                len(shared_colors),
                f"the palette gives several ids the same colour: "
                f"{enumerate_few(list(shared_colors))}; the lowest id is taken",
                "use maps of ids where the difference matters",
            )

    def draw(self, dataset: str, directory: Path) -> tuple[Path | None, Path | None]:
        """Draws the bar chart and the contact sheet, and returns their files.

        Args:
            dataset: name of the data set, for the title.
            directory: where the pictures go.

        Raises:
            DataError: if they cannot be written.
        """
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
                raise ArgumentError(
                    "output_dir",
                    f"{directory} cannot be written "
                    f"({error.strerror or type(error).__name__}); give another --output_dir",
                ) from None
        return written["histogram.png"], written.get("contact_sheet.png")


def blended_share(label: np.ndarray) -> tuple[float, int]:
    """Measures how much a map looks as if ids had been averaged.

    Args:
        label: integer array `[H, W]`.

    Returns:
        Of all pixels that differ from a neighbour in their row, the share whose id lies strictly
        between those of both neighbours; and the number of pixels that differ.
    """
    ids = label.astype(np.int32)
    left = ids[:, 1:-1] - ids[:, :-2]
    right = ids[:, 2:] - ids[:, 1:-1]
    differ = int(((left != 0) | (right != 0)).sum())
    return (float((left * right > 0).sum() / differ) if differ else 0.0), differ
