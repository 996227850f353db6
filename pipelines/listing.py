"""Finds the files of a data set and matches them, so that no half pair gets further than here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.schema import BadFileError, DataError

JPEG_SUFFIXES = (".jpg", ".jpeg")
_SUFFIXES = (".png", *JPEG_SUFFIXES)
_UNREAD_SUFFIXES = (".bmp", ".gif", ".ppm", ".tga", ".tif", ".tiff", ".webp")

_NUM_NAMED = 3

OnBadFile = Callable[[BadFileError], None]


class Pair(NamedTuple):
    """The files of one example.

    Attributes:
        stem: the file name that all of them share, without its suffix.
        image: the photograph, JPEG or PNG.
        label: the label map, PNG; None where there is a condition, or where a network labels.
        instance: the instance map, PNG, or None.
        condition: a continuous map in place of the label map, PNG, or None.
    """

    stem: str
    image: Path
    label: Path | None
    instance: Path | None = None
    condition: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that there are."""
        return tuple(path for path in self[1:] if path is not None)


def list_images(
    directory: Path,
    layout: str,
    *,
    ending: str = "",
    suffixes: Sequence[str] = _SUFFIXES,
    subfolders: bool = False,
    on_bad_file: OnBadFile | None = None,
) -> dict[str, Path]:
    """Returns the PNG and JPEG files of a directory by stem, in the order of their stems.

    Args:
        directory: where to look; hidden files are not taken.
        layout: the layout wanted, quoted in the error messages.
        ending: what the names of the files end in before their suffix; it is cut off the stem,
            and files without it are not taken.
        suffixes: of the files that are taken.
        subfolders: whether to look in the folders of `directory` instead of in itself.
        on_bad_file: called for files that cannot be taken, in place of an error.

    Raises:
        DataError: if the directory is missing, unreadable or without such files.
        BadFileError: if two files share a stem, or a picture is in a format that is not read.
    """

    def report(bad: BadFileError) -> None:
        if on_bad_file is None:
            raise bad
        on_bad_file(bad)

    folders = [directory]
    if subfolders:
        folders = [path for path in _entries(directory, layout) if path.is_dir()]
    by_stem: dict[str, Path] = {}
    for folder in folders:
        for path in _entries(folder, layout):
            suffix = path.suffix.lower()
            stem = path.name[: len(path.name) - len(suffix)]
            if path.name.startswith(".") or not stem.endswith(ending):
                continue
            stem = stem.removesuffix(ending)
            if suffix in _UNREAD_SUFFIXES:
                report(
                    BadFileError(
                        path,
                        "unread format",
                        f"{suffix} files are not read; convert it to PNG or JPEG",
                    )
                )
            elif suffix in suffixes and stem in by_stem:
                report(
                    BadFileError(
                        path,
                        "duplicate stem",
                        f"same stem as {by_stem[stem].name}; rename or remove one of the two",
                    )
                )
            elif suffix in suffixes:
                by_stem[stem] = path
    if not by_stem:
        named = ", ".join(f"*{ending}{suffix}" if ending else suffix for suffix in suffixes)
        where = f"{directory}/*" if subfolders else directory
        raise DataError(f"{where}: no images in it ({named}); the layout wanted is {layout}")
    return dict(sorted(by_stem.items()))


def _entries(directory: Path, layout: str) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except FileNotFoundError:
        raise DataError(f"{directory}: no such folder; the layout wanted is {layout}") from None
    except OSError as error:
        raise DataError(
            f"{directory}: cannot be listed ({error.strerror}); the layout wanted is {layout}"
        ) from None


def find_pairs(
    image_dir: Path,
    label_dir: Path | None,
    instance_dir: Path | None,
    layout: str,
    *,
    condition_dir: Path | None = None,
    image_ending: str = "",
    label_ending: str = "",
    instance_ending: str = "",
    image_suffixes: Sequence[str] = _SUFFIXES,
    label_suffixes: Sequence[str] = _SUFFIXES,
    subfolders: bool = False,
    on_bad_file: OnBadFile | None = None,
) -> list[Pair]:
    """Matches photographs with label maps, and the other maps that there are, by stem.

    Args:
        image_dir: folder of the photographs.
        label_dir: folder of the label maps, or None.
        instance_dir: folder of the instance maps, or None.
        layout: the layout wanted, quoted in the error messages.
        condition_dir: folder of continuous maps, or None.
        image_ending: see `list_images`, for the photographs.
        label_ending: likewise, for the label maps.
        instance_ending: likewise, for the instance maps.
        image_suffixes: of the photographs, where they share a folder with the label maps.
        label_suffixes: of the label maps.
        subfolders: see `list_images`.
        on_bad_file: called for every file that cannot be taken, in place of an error; what
            remains is the pairs of good files.

    Returns:
        The pairs, in the order of their stems.

    Raises:
        DataError: as `list_images`, or if files lack their counterparts.
        BadFileError: as `list_images`, or if a mask is a JPEG.
    """
    spoilt: set[str] = set()

    def report(bad: BadFileError) -> None:
        if on_bad_file is None:
            raise bad
        on_bad_file(bad)

    def collect(directory: Path, ending: str, suffixes: Sequence[str]) -> dict[str, Path]:
        def drop(bad: BadFileError) -> None:
            # Its counterparts are not to blame: they are left out without a word.
            spoilt.add(bad.path.stem.removesuffix(ending))
            report(bad)

        return list_images(
            directory,
            layout,
            ending=ending,
            suffixes=suffixes,
            subfolders=subfolders,
            on_bad_file=drop,
        )

    images = collect(image_dir, image_ending, image_suffixes)
    masks: dict[Path, dict[str, Path]] = {}
    for directory, ending, suffixes in (
        (label_dir, label_ending, label_suffixes),
        (instance_dir, instance_ending, _SUFFIXES),
        (condition_dir, "", _SUFFIXES),
    ):
        if directory is None:
            continue
        # Label and instance maps may share a folder and differ in their endings.
        key = directory / f"*{ending}"
        masks[key] = collect(directory, ending, suffixes)
        for stem, path in masks[key].items():
            if path.suffix.lower() in JPEG_SUFFIXES:
                spoilt.add(stem)
                report(jpeg_mask(path))

    _check_matched(images, image_dir, masks, spoilt, on_bad_file)
    complete = [
        stem
        for stem in images
        if stem not in spoilt and all(stem in by_stem for by_stem in masks.values())
    ]
    if not complete:
        raise DataError(f"{image_dir}: not one whole pair in it; the layout wanted is {layout}")

    def of(directory: Path | None, ending: str, stem: str) -> Path | None:
        return None if directory is None else masks[directory / f"*{ending}"][stem]

    return [
        Pair(
            stem,
            images[stem],
            of(label_dir, label_ending, stem),
            of(instance_dir, instance_ending, stem),
            of(condition_dir, "", stem),
        )
        for stem in complete
    ]


def _check_matched(
    images: Mapping[str, Path],
    image_dir: Path,
    masks: Mapping[Path, Mapping[str, Path]],
    spoilt: set[str],
    on_bad_file: OnBadFile | None,
) -> None:
    reported: set[Path] = set()
    for key, by_stem in masks.items():
        mask_dir = key.parent if key.name == "*" else key
        for haves, lacks, where in ((images, by_stem, mask_dir), (by_stem, images, image_dir)):
            alone = [
                path
                for stem, path in haves.items()
                if stem not in lacks and stem not in spoilt and path not in reported
            ]
            if alone and on_bad_file is None:
                raise DataError(
                    f"{alone[0].parent}: {len(alone)} of {len(haves)} files have no counterpart of "
                    f"the same stem in {where}: {enumerate_few([path.name for path in alone])}; "
                    "add the missing files or remove these"
                )
            for path in alone:
                reported.add(path)
                assert on_bad_file is not None
                on_bad_file(
                    BadFileError(
                        path,
                        "unpaired",
                        f"no counterpart of the same stem in {where}; add it or remove this file",
                    )
                )


def jpeg_mask(path: Path) -> BadFileError:
    """Returns what is said of a mask that was saved as a JPEG."""
    return BadFileError(
        path,
        "JPEG mask",
        "JPEG mask, whose compression has changed the ids; make it again from the original "
        "annotation and save it as a single-channel 8-bit or 16-bit PNG whose values are the ids",
    )


def enumerate_few(values: Sequence[object]) -> str:
    """Returns the first values as text, and how many more there are."""
    named = ", ".join(str(value) for value in values[:_NUM_NAMED])
    rest = len(values) - _NUM_NAMED
    return f"{named} and {rest} more" if rest > 0 else named
