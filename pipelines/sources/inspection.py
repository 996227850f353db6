"""Checks what was read of a data set, so that no bad data is stored.

Every check ends in a `BadFileError` that names the file, what was found in it and the way out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.schema import MAX_IDS, BadFileError, DataError
from pipelines.sources.listing import enumerate_few
from pipelines.sources.pairing import Pair
from pipelines.sources.palettes import Palette
from pipelines.sources.pictures import EncodedImage, read_ids
from pipelines.sources.texts import read_lines


def encode_ids(ids: np.ndarray, num_ids: int) -> bytes:
    """Returns a map of ids as a PNG.

    Args:
        ids: integer array `[H, W]`.
        num_ids: number of distinct ids possible; 8 bits are written up to 256, 16 bits above.
    """
    buffer = io.BytesIO()
    Image.fromarray(ids.astype(np.uint8 if num_ids <= 256 else np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def check_same_size(
    shape: Sequence[int], path: Path, image: EncodedImage, image_path: Path
) -> None:
    """Checks that a map covers its photograph pixel for pixel.

    Args:
        shape: of the map, height and width first.
        path: of the map.
        image: the photograph.
        image_path: of the photograph.

    Raises:
        BadFileError: if height or width differ.
    """
    size = (image.height, image.width)
    if tuple(shape[:2]) == size:
        return
    found = f"{shape[1]}x{shape[0]} pixels (width x height), but {image_path} has "
    found += f"{image.width}x{image.height}"
    remedy = "scale one to the other (maps by nearest neighbour)"
    if image.orientation >= 5 and tuple(shape[:2]) == size[::-1]:
        # Orientations from 5 on exchange rows and columns.
        found += f" when read upright, as its EXIF orientation {image.orientation} says"
        remedy = "turn the map upright too, or if it was drawn over the pixels as they are stored, "
        remedy += f"remove the tag from the photograph: exiftool -Orientation= '{image_path}'"
    raise BadFileError(path, "size mismatch", f"{found}; {remedy}")


def source_unknown_id(num_classes: int) -> int:
    """Returns the id that marks unknown pixels in source files: 255, or 65535 if 255 is a class."""
    return 255 if num_classes <= 255 else MAX_IDS - 1


def remap_label(ids: np.ndarray, path: Path, num_classes: int, has_unknown: bool) -> np.ndarray:
    """Checks the ids of a label map and gives unknown the id `num_classes`.

    Args:
        ids: uint16 array `[H, W]`, as `read_ids` returns it.
        path: the file that they come from, for the error message.
        num_classes: number of classes `N`, ids `0..N-1`.
        has_unknown: whether `source_unknown_id(N)` is allowed as well.

    Returns:
        uint16 array `[H, W]` with values `0..N-1`, and `N` for unknown.

    Raises:
        BadFileError: if there is any other id.
    """
    counts = np.bincount(ids.ravel(), minlength=num_classes)
    unknown = source_unknown_id(num_classes)
    outside = [int(i) for i in np.flatnonzero(counts) if i >= num_classes]
    if has_unknown and unknown in outside:
        outside.remove(unknown)
    if outside:
        allowed = f"0..{num_classes - 1}" + f" and {unknown} for unknown" * has_unknown
        remedy = (
            f"correct the file, or, if they are classes, name {outside[-1] + 1} in classes.txt, or "
            f"pass --num_classes={outside[-1] + 1} without names"
        )
        if outside == [unknown]:
            remedy = "correct the file: this data set has no pixels of unknown class"
        raise BadFileError(
            path,
            "id out of range",
            f"label ids {enumerate_few(outside)} in {counts[outside].sum()} pixels are "
            f"outside the classes ({allowed})",
            remedy,
        )
    if not has_unknown:
        return ids
    return np.where(ids == unknown, np.uint16(num_classes), ids)


def map_ids(ids: np.ndarray, path: Path, table: Sequence[int]) -> np.ndarray:
    """Gives each id of a file the id that it is stored as.

    Args:
        ids: uint16 array `[H, W]`, as `read_ids` returns it.
        path: the file that they come from, for the error message.
        table: the new id of each id, -1 for those that may not be there.

    Returns:
        uint16 array `[H, W]`.

    Raises:
        BadFileError: if there is an id that may not be there.
    """
    counts = np.bincount(ids.ravel(), minlength=len(table))
    allowed = np.flatnonzero(np.asarray(table) >= 0)
    outside = [int(i) for i in np.setdiff1d(np.flatnonzero(counts), allowed)]
    if outside:
        raise BadFileError(
            path,
            "id out of range",
            f"label ids {enumerate_few(outside)} in {counts[outside].sum()} pixels are none of "
            f"this data set's ({_ranges(allowed)}); take the file from the original archive again",
        )
    return np.asarray(table, np.int32)[ids].astype(np.uint16)


def _ranges(ids: np.ndarray) -> str:
    starts = np.flatnonzero(np.diff(ids, prepend=-2) > 1)
    parts = [
        f"{part[0]}..{part[-1]}" if len(part) > 1 else str(part[0])
        for part in np.split(ids, starts[1:])
    ]
    return " and ".join(parts)


def decode_image(encoded: bytes) -> np.ndarray:
    """Returns the pixels of a photograph that `read_image` has checked, uint8 `[H, W, 3]`."""
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))


def scale_image(encoded: bytes, height: int, width: int) -> bytes:
    """Scales a photograph by antialiased bicubic interpolation.

    Args:
        encoded: JPEG or PNG.
        height: in pixels.
        width: in pixels.

    Returns:
        A PNG of that size.
    """
    with Image.open(io.BytesIO(encoded)) as image:
        scaled = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    scaled.save(buffer, "PNG")
    return buffer.getvalue()


def scale_ids(ids: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scales a map `[H, W]` of ids: each new pixel has the id that lies at its centre.

    Args:
        ids: the map.
        height: in pixels.
        width: in pixels.

    Returns:
        `[height, width]`, as Pillow's NEAREST gives it.
    """
    rows = (2 * np.arange(height) + 1) * ids.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * ids.shape[1] // (2 * width)
    return ids[rows][:, columns]


def map_colors(
    colors: np.ndarray, path: Path, palette: Palette, unknown: int | None
) -> tuple[np.ndarray, int]:
    """Turns the colours of a mask into ids.

    Args:
        colors: uint8 array `[H, W, 3]` or `[H, W, 4]`, as `pictures.read_colors` returns it.
        path: the file that they come from, for the error message.
        palette: which colour stands for which id.
        unknown: the id that colours off the palette are given; None to refuse them.

    Returns:
        uint16 array `[H, W]`, and how many pixels were off the palette.

    Raises:
        BadFileError: if there are colours off the palette and `unknown` is None.
    """
    ids = palette.to_ids(colors)
    off = ids < 0
    count = int(off.sum())
    if count and unknown is None:
        raise _off_palette(colors[off], off.size, path, palette)
    if unknown is not None:
        ids[off] = unknown
    return ids.astype(np.uint16), count


def _off_palette(strange: np.ndarray, total: int, path: Path, palette: Palette) -> BadFileError:
    """Returns what is said of colours `[N, C]` that are not in a palette."""
    found, pixels = np.unique(strange, axis=0, return_counts=True)
    order = np.argsort(-pixels, kind="stable")
    named = enumerate_few(["(" + ",".join(map(str, found[i])) + ")" for i in order])
    if strange.shape[1] == 4 and (strange[:, 3] < 255).all():
        return BadFileError(
            path,
            "transparent mask",
            f"{len(strange)} of {total} pixels are transparent and so have no colour of palette "
            f"{palette.name}",
            "pass --off_palette=unknown to take them for unknown, or save the mask without "
            "transparency",
        )
    remedy = "correct the mask, give the palette that it was drawn with, or pass "
    remedy += "--off_palette=unknown"
    if (strange[:, :3] == strange[:, :1]).all():
        remedy = "leave --palette out if these greys are ids, or " + remedy
    return BadFileError(
        path,
        "off palette",
        f"{len(strange)} of {total} pixels have colours that palette {palette.name} does not "
        f"hold: {named}",
        remedy,
    )


def largest_label_id(pairs: Sequence[Pair], max_files: int = 1000) -> tuple[int, int]:
    """Looks for the largest label id, 255 (unknown) left out.

    Args:
        pairs: where to look.
        max_files: int, how many of their label maps are read at most.

    Returns:
        The largest id, -1 if there is none, and the number of files read.
    """
    looked_at = pairs[:max_files]
    largest = -1
    for pair in looked_at:
        if pair.label is None:
            continue
        counts = np.bincount(read_ids(pair.label).ravel(), minlength=256)
        counts[255] = 0
        largest = max([largest, *np.flatnonzero(counts)[-1:].tolist()])
    return largest, len(looked_at)


def read_class_names(path: Path) -> tuple[str, ...]:
    """Reads the names of the classes, one a line, id 0 first.

    Raises:
        DataError: if the file is unreadable, empty, not Unicode, or has an empty line before its
            last name (the ids of the names below it would be in doubt).
    """
    names = [line.strip() for line in read_lines(path)]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError(f"{path}: no class names in it; write one name a line, id 0 first")
    if "" in names:
        raise DataError(
            f"{path}: line {names.index('') + 1} is empty; write one name a line, id 0 first"
        )
    return tuple(names)
