"""Matches the photographs of a data set with their maps, so that no half pair gets further."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.schema import BadFileError, DataError
from pipelines.sources.listing import (
    OnBadFile,
    SourceFiles,
    enumerate_few,
    lossy_mask,
    report,
)
from pipelines.sources.patterns import LOSSY_SUFFIXES, Pattern, folded
from pipelines.sources.wording import counted


class Pair(NamedTuple):
    """The files of one example.

    Attributes:
        stem: the name that all of them share.
        image: the photograph.
        label: the label map; None where there is a condition, or where a network labels.
        instance: the instance map, or None.
        condition: a continuous map in place of the label map, or None.
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


def find_pairs(
    files: SourceFiles,
    *,
    image: str,
    label: str | None = None,
    instance: str | None = None,
    condition: str | None = None,
    on_bad_file: OnBadFile | None = None,
) -> list[Pair]:
    """Matches photographs with the maps that there are, by the names in their patterns.

    Names are the same if they are so in Unicode's composed form. What then has no counterpart is
    matched regardless of case and spaces, and then, where all maps or all photographs lie in one
    folder, by the last part of the name; both only where one single file fits.

    Args:
        files: where to look.
        image: pattern of the photographs.
        label: pattern of the label maps, or None.
        instance: pattern of the instance maps, or None.
        condition: pattern of continuous maps, or None.
        on_bad_file: called for every file that cannot be taken, in place of an error; what
            remains is the pairs of good files.

    Returns:
        The pairs, in the order of the photographs' names.

    Raises:
        DataError: as `SourceFiles.list`, or if files lack their counterparts.
        BadFileError: as `SourceFiles.list`, or if a mask is of a lossy file type.
    """
    patterns = {"label": label, "instance": instance, "condition": condition}
    given = {kind: pattern for kind, pattern in patterns.items() if pattern is not None}
    spoilt: set[str] = set()

    def collect(pattern: str, maps: bool) -> dict[str, Path]:
        def drop(bad: BadFileError) -> None:
            # Its counterparts are not to blame: they are left out without a word.
            key = Pattern(pattern).key(bad.path.relative_to(files.root).as_posix(), maps)
            spoilt.add(key or "")
            report(bad, on_bad_file)

        others = [other for other in (image, *given.values()) if other != pattern]
        return files.list(pattern, maps=maps, others=others, on_bad_file=drop)

    images = collect(image, maps=False)
    matched: dict[str, dict[str, Path]] = {}
    alone: list[tuple[Path, Path]] = []
    for kind, pattern in given.items():
        masks = collect(pattern, maps=True)
        for key, path in masks.items():
            if path.suffix.lower() in LOSSY_SUFFIXES:
                spoilt.add(key)
                report(lossy_mask(path), on_bad_file)
        matched[kind] = _match(images, masks)
        found = set(matched[kind].values())
        alone += [
            (path, files.folder(pattern))
            for key, path in images.items()
            if key not in matched[kind] and key not in spoilt
        ]
        alone += [
            (path, files.folder(image))
            for key, path in masks.items()
            if path not in found and key not in spoilt
        ]
    _report_alone(files, alone, len(images), on_bad_file)
    complete = [
        key
        for key in images
        if key not in spoilt and all(key in by_key for by_key in matched.values())
    ]
    if not complete:
        raise DataError(f"{files.folder(image)}: not one whole pair in it; {files.remedy()}")
    return [
        Pair(key, images[key], **{"label": None} | {kind: matched[kind][key] for kind in matched})
        for key in complete
    ]


def _match(images: Mapping[str, Path], masks: Mapping[str, Path]) -> dict[str, Path]:
    """Returns the mask of each photograph that has one."""
    matched = {key: masks[key] for key in images if key in masks}
    keys: list[Callable[[str], str]] = [folded]
    # Otherwise day1/a might be given the mask of day2/a.
    if not any("/" in key for key in images) or not any("/" in key for key in masks):
        keys.append(lambda key: folded(key.rpartition("/")[2]))
    for fold in keys:
        taken = set(matched.values())
        left = [key for key in images if key not in matched]
        rest = {key: path for key, path in masks.items() if path not in taken}
        if not left or not rest:
            break
        num_left, num_rest = Counter(map(fold, left)), Counter(map(fold, rest))
        by_fold = {fold(key): path for key, path in rest.items()}
        for key in left:
            if num_left[fold(key)] == num_rest[fold(key)] == 1:
                matched[key] = by_fold[fold(key)]
    return matched


def _report_alone(
    files: SourceFiles,
    alone: Sequence[tuple[Path, Path]],
    num_images: int,
    on_bad_file: OnBadFile | None,
) -> None:
    if not alone:
        return
    if on_bad_file is None:
        path, where = alone[0]
        same = [one for one, folder in alone if (one.parent, folder) == (path.parent, where)]
        remedy = files.unread(path, where) or "add the missing files or remove these"
        if len(same) > num_images / 2 and (advice := files.remedy()).startswith("if "):
            remedy = advice
        raise DataError(
            f"{path.parent}: {counted(len(same), 'file')} without a counterpart of the same stem "
            f"in {where}: "
            f"{enumerate_few([one.name for one in same])}; {remedy}, list the pairs in a file with "
            "--dataset=manifest, or let prepare leave them out (on_bad_file: skip)"
        )
    for path, where in dict(reversed(alone)).items():
        remedy = files.unread(path, where) or "add it or remove this file"
        on_bad_file(
            BadFileError(path, "unpaired", f"no counterpart of the same stem in {where}; {remedy}")
        )
