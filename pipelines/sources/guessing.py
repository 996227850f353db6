"""Guesses where photographs and maps lie and how they are named.

A guess is only shown in an error message. Whoever reads the message decides.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from pipelines.sources.patterns import JPEG_SUFFIXES, PICTURE_SUFFIXES

SPLIT_FOLDERS = {
    "train": ("train", "training", "Train", "Training", "train2017"),
    "val": ("val", "valid", "validation", "Val", "Validation", "val2017"),
}
_SPLIT = re.compile(r"(?<![a-z])(train|val)(ing|id|idation|2017)?(?![a-z0-9])", re.IGNORECASE)
# Words in the names of folders that tell what lies there; the first kind that fits counts.
_WORDS = {
    "drawn": ("visual", "overlay", "color", "colour", "preview"),
    "instance": ("inst", "object"),
    "label": ("mask", "label", "seg", "annot", "gt", "semantic", "class"),
    "image": ("im", "photo", "pic", "jpeg", "rgb", "input"),
}
# The share of the maps that must have a photograph whose name goes with theirs.
_SHARE = 0.5
_NUM_COMPARED = 100


def guess_patterns(names: Iterable[str]) -> dict[str, str]:
    """Returns patterns of `image`, `label` and, if there are any, `instance` files.

    Args:
        names: of all files, relative to the source folder.

    Returns:
        Patterns by kind, with `{split}` in place of names of splits; empty if no files' names go
        together.
    """
    stems: dict[str, list[str]] = defaultdict(list)
    types: dict[str, Counter[str]] = defaultdict(Counter)
    for name in names:
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in PICTURE_SUFFIXES:
            folder, stem = _split_off(stem)
            stems[folder].append(stem)
            types[folder][suffix.lower()] += 1
    kinds = {folder: _kind(folder) for folder in stems}
    found: dict[str, str] = {}
    for kind in ("label", "instance"):
        best = _SHARE
        for maps in (folder for folder in stems if kinds[folder] == kind):
            for images in (folder for folder in stems if kinds[folder] in ("image", "")):
                share, image, label = _affixes(stems[images], stems[maps])
                if share > best and found.get("image", images + image) == images + image:
                    best = share
                    found |= {"image": images + image, kind: maps + label}
        if "image" not in found:
            return _in_one_folder(stems, types)
    return found


def _split_off(stem: str) -> tuple[str, str]:
    """Splits a path into the folder that tells what a file is, and the rest.

    Names of splits in the folder are replaced by `{split}`.
    """
    parts = stem.split("/")
    told = [bool(_SPLIT.search(part) or _kind(part)) for part in parts[:-1]]
    count = len(told) - told[::-1].index(True) if any(told) else len(told)
    folder = "/".join(parts[:count])
    # A split is named once: a second name of one would stay as it is.
    folder = _SPLIT.sub("{split}", folder)
    return folder + "/" * bool(folder), "/".join(parts[count:])


def _kind(text: str) -> str:
    text = text.lower()
    for kind, words in _WORDS.items():
        if any(word in text for word in words):
            return kind
    return ""


def _affixes(images: list[str], maps: list[str]) -> tuple[float, str, str]:
    """Returns the share of maps that go with a photograph, and the patterns of both names."""
    best = (len(set(images) & set(maps)) / len(maps), "*", "*")
    if best[0] > _SHARE:
        return best
    for map_stem in sorted(maps)[:3]:
        compared = sorted(images)[:_NUM_COMPARED]
        blocks = [
            difflib.SequenceMatcher(None, stem, map_stem, autojunk=False).find_longest_match()
            for stem in compared
        ]
        stem, block = max(zip(compared, blocks, strict=True), key=lambda pair: pair[1].size)
        core = stem[block.a : block.a + block.size]
        name = core.strip("_-. ")
        if not name:
            continue
        before, _, after = core.partition(name)
        ours = stem[: block.a] + before, after + stem[block.a + block.size :]
        theirs = map_stem[: block.b] + before, after + map_stem[block.b + block.size :]
        share = len(_cores(images, *ours) & _cores(maps, *theirs)) / len(maps)
        best = max(best, (share, "*".join(ours), "*".join(theirs)))
    return best


def _cores(stems: list[str], prefix: str, ending: str) -> set[str]:
    return {
        stem[len(prefix) : len(stem) - len(ending)]
        for stem in stems
        if stem.startswith(prefix) and stem.endswith(ending)
    } - {""}


def _in_one_folder(stems: dict[str, list[str]], types: dict[str, Counter[str]]) -> dict[str, str]:
    """Returns patterns of photographs and maps that lie side by side."""
    for folder, found in stems.items():
        ordered = sorted(found)
        twice = sum(a == b for a, b in itertools.pairwise(ordered))
        jpeg = next((suffix for suffix in types[folder] if suffix in JPEG_SUFFIXES), None)
        if jpeg and types[folder][".png"] and 2 * twice > _SHARE * len(ordered):
            return {"image": f"{folder}*{jpeg}", "label": f"{folder}*.png"}
        endings = Counter(
            b[len(a) :]
            for a, b in itertools.pairwise(ordered)
            if b.startswith(a) and _kind(b[len(a) :]) == "label"
        )
        for ending, count in endings.most_common(1):
            if 2 * count > _SHARE * len(ordered):
                return {"image": f"{folder}*", "label": f"{folder}*{ending}"}
    return {}
