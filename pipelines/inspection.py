"""Finds the files of a data set and reads them, so that no bad file gets further than here.

Every check ends in a `DataError` that names the file, what was found in it and the way out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pipelines.schema import MAX_IDS, DataError

_JPEG_SUFFIXES = (".jpg", ".jpeg")
_SUFFIXES = (".png", *_JPEG_SUFFIXES)
_UNREAD_SUFFIXES = (".bmp", ".gif", ".ppm", ".tga", ".tif", ".tiff", ".webp")

_SAVE_AS_IDS = "save it as a single-channel 8-bit or 16-bit PNG whose values are the ids"
_SAVE_AS_IMAGE = "save it as an 8-bit RGB or greyscale JPEG or PNG"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NUM_NAMED = 3


class Pair(NamedTuple):
    """The files of one example.

    Attributes:
        stem: the file name that all of them share, without its suffix.
        image: the photograph, JPEG or PNG.
        label: the label map, PNG.
        instance: the instance map, PNG, or None.
    """

    stem: str
    image: Path
    label: Path
    instance: Path | None


class EncodedImage(NamedTuple):
    """A photograph that was decoded once to see that it can be, still as it was encoded.

    Attributes:
        encoded: the bytes of the file.
        height: in pixels.
        width: in pixels.
    """

    encoded: bytes
    height: int
    width: int


def list_images(directory: Path, layout: str) -> dict[str, Path]:
    """Returns the PNG and JPEG files of a directory by stem, in the order of their stems.

    Args:
        directory: where to look; directories below it are not entered, hidden files not taken.
        layout: the layout wanted, quoted in the error messages.

    Raises:
        DataError: if the directory is missing, unreadable or without such files, if two files
            share a stem, or if there is a picture in a format that is not read.
    """
    try:
        entries = sorted(directory.iterdir())
    except FileNotFoundError:
        raise DataError(f"{directory}: no such folder; the layout wanted is {layout}") from None
    except OSError as error:
        raise DataError(
            f"{directory}: cannot be listed ({error.strerror}); the layout wanted is {layout}"
        ) from None

    by_stem: dict[str, Path] = {}
    for path in entries:
        suffix = path.suffix.lower()
        if path.name.startswith("."):
            continue
        if suffix in _UNREAD_SUFFIXES:
            raise DataError(f"{path}: {suffix} files are not read; convert it to PNG or JPEG")
        if suffix not in _SUFFIXES:
            continue
        if path.stem in by_stem:
            raise DataError(
                f"{path}: same stem as {by_stem[path.stem].name}; rename or remove one of the two"
            )
        by_stem[path.stem] = path
    if not by_stem:
        raise DataError(
            f"{directory}: no images in it ({', '.join(_SUFFIXES)}); the layout wanted is {layout}"
        )
    return by_stem


def find_pairs(
    image_dir: Path, label_dir: Path, instance_dir: Path | None, layout: str
) -> list[Pair]:
    """Matches photographs with label maps, and instance maps if there are any, by stem.

    Args:
        image_dir: folder of the photographs.
        label_dir: folder of the label maps.
        instance_dir: folder of the instance maps, or None.
        layout: the layout wanted, quoted in the error messages.

    Returns:
        The pairs, in the order of their stems.

    Raises:
        DataError: as `list_images`; if a file lacks its counterpart; if a mask is a JPEG.
    """
    images = list_images(image_dir, layout)
    masks = {label_dir: list_images(label_dir, layout)}
    if instance_dir is not None:
        masks[instance_dir] = list_images(instance_dir, layout)

    for mask_dir, by_stem in masks.items():
        for path in by_stem.values():
            if path.suffix.lower() in _JPEG_SUFFIXES:
                raise _jpeg_mask(path)
        _check_matched(images, image_dir, by_stem, mask_dir)
    labels = masks[label_dir]
    instances = masks.get(instance_dir, {}) if instance_dir is not None else {}
    return [Pair(stem, path, labels[stem], instances.get(stem)) for stem, path in images.items()]


def _check_matched(
    images: dict[str, Path], image_dir: Path, masks: dict[str, Path], mask_dir: Path
) -> None:
    for haves, lacks, where in ((images, masks, mask_dir), (masks, images, image_dir)):
        alone = [path for stem, path in haves.items() if stem not in lacks]
        if alone:
            raise DataError(
                f"{alone[0].parent}: {len(alone)} of {len(haves)} files have no counterpart of the "
                f"same stem in {where}: {_enumerate([path.name for path in alone])}; "
                "add the missing files or remove these"
            )


def _enumerate(values: Sequence[object]) -> str:
    named = ", ".join(str(value) for value in values[:_NUM_NAMED])
    rest = len(values) - _NUM_NAMED
    return f"{named} and {rest} more" if rest > 0 else named


def read_image(path: Path) -> EncodedImage:
    """Reads a photograph and decodes it whole, as training will.

    Orientation tags are not applied: label maps are drawn over the stored pixels.

    Args:
        path: a JPEG or PNG file, RGB or greyscale, or a PNG with an opaque palette.

    Raises:
        DataError: if the file is unreadable, empty, truncated, neither JPEG nor PNG, or of a
            colour mode that does not turn into RGB without loss of meaning (alpha, CMYK).
    """
    import tensorflow as tf

    encoded = _read_bytes(path)
    with _open(encoded, path) as image:
        mode, width, height = image.mode, image.width, image.height
        opaque_palette = mode == "P" and "transparency" not in image.info
        if mode not in ("RGB", "L") and not opaque_palette:
            raise DataError(f"{path}: photograph in mode {mode}; {_SAVE_AS_IMAGE}")
    # Training decodes with TensorFlow, whose decoder is stricter than Pillow's in places.
    try:
        tf.io.decode_image(encoded, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError:
        raise DataError(
            f"{path}: truncated or damaged, cannot be decoded; replace it or remove its pair"
        ) from None
    return EncodedImage(encoded=encoded, height=height, width=width)


def read_ids(path: Path) -> np.ndarray:
    """Reads a map of ids, be they label or instance ids.

    Args:
        path: a single-channel PNG of 8 or 16 bits.

    Returns:
        uint16 array `[H, W]`.

    Raises:
        DataError: if the file is unreadable, empty, truncated, a JPEG, or does not hold ids
            (colour, palette, alpha, less than 8 bits).
    """
    encoded = _read_bytes(path)
    with _open(encoded, path) as image:
        if image.format == "JPEG":
            raise _jpeg_mask(path)
        if image.mode == "P":
            raise DataError(
                f"{path}: palette PNG (colours, mode P) where ids are expected; if its palette "
                f"indices are the ids, {_SAVE_AS_IDS}"
            )
        if image.mode in ("RGB", "RGBA"):
            raise DataError(
                f"{path}: {image.mode} colour mask where ids are expected; map each colour to its "
                f"id and {_SAVE_AS_IDS}"
            )
        bit_depth = _png_bit_depth(encoded)
        # Some releases of Pillow call 16 bits "I". Fewer than 8 bits are stretched over 0..255 by
        # every decoder, which turns an id into another one.
        if image.mode not in ("L", "I", "I;16", "I;16B") or bit_depth < 8:
            raise DataError(
                f"{path}: {bit_depth}-bit PNG in mode {image.mode} where ids are expected; "
                f"{_SAVE_AS_IDS}"
            )
        try:
            ids = np.asarray(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise _damaged(path, error) from None
    return ids.astype(np.uint16)


def _jpeg_mask(path: Path) -> DataError:
    return DataError(
        f"{path}: JPEG mask, whose compression has changed the ids; make it again from the "
        f"original annotation and {_SAVE_AS_IDS}"
    )


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}: truncated or damaged ({_one_line(error)}); replace it or remove its pair"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _read_bytes(path: Path) -> bytes:
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check the file and its permissions"
        ) from None
    if not encoded:
        raise DataError(f"{path}: empty file (0 bytes); replace it or remove its pair")
    return encoded


def _open(encoded: bytes, path: Path) -> Image.Image:
    try:
        return Image.open(io.BytesIO(encoded), formats=("JPEG", "PNG"))
    except Image.DecompressionBombError:
        raise DataError(f"{path}: too many pixels to be read safely; scale it down") from None
    except Image.UnidentifiedImageError:
        raise DataError(
            f"{path}: truncated, or neither JPEG nor PNG; replace it or remove its pair"
        ) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise _damaged(path, error) from None


def _png_bit_depth(encoded: bytes) -> int:
    # Pillow does not tell; in the file it follows signature, chunk header, width and height.
    return encoded[24] if encoded.startswith(_PNG_SIGNATURE) else 0


def encode_ids(ids: np.ndarray, num_ids: int) -> bytes:
    """Returns a map of ids as a PNG.

    Args:
        ids: integer array `[H, W]`.
        num_ids: number of distinct ids possible; 8 bits are written up to 256, 16 bits above.
    """
    buffer = io.BytesIO()
    Image.fromarray(ids.astype(np.uint8 if num_ids <= 256 else np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def check_same_size(ids: np.ndarray, path: Path, image: EncodedImage, image_path: Path) -> None:
    """Checks that a map covers its photograph pixel for pixel.

    Raises:
        DataError: if height or width differ.
    """
    if ids.shape != (image.height, image.width):
        raise DataError(
            f"{path}: {ids.shape[1]}x{ids.shape[0]} pixels (width x height), but {image_path} has "
            f"{image.width}x{image.height}; scale one to the other (maps by nearest neighbour)"
        )


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
        DataError: if there is any other id.
    """
    counts = np.bincount(ids.ravel(), minlength=num_classes)
    unknown = source_unknown_id(num_classes)
    outside = [int(i) for i in np.flatnonzero(counts) if i >= num_classes]
    if has_unknown and unknown in outside:
        outside.remove(unknown)
    if outside:
        allowed = f"0..{num_classes - 1}" + f" and {unknown} for unknown" * has_unknown
        remedy = f"correct the file, or pass --num_classes={outside[-1] + 1} if they are classes"
        if outside == [unknown]:
            remedy = "correct the file, or pass has_unknown=True if it marks unlabelled pixels"
        raise DataError(
            f"{path}: label ids {_enumerate(outside)} in {counts[outside].sum()} pixels are "
            f"outside the classes ({allowed}); {remedy}"
        )
    if not has_unknown:
        return ids
    return np.where(ids == unknown, np.uint16(num_classes), ids)


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
        counts = np.bincount(read_ids(pair.label).ravel(), minlength=256)
        counts[255] = 0
        largest = max([largest, *np.flatnonzero(counts)[-1:].tolist()])
    return largest, len(looked_at)


def read_class_names(path: Path) -> tuple[str, ...]:
    """Reads the names of the classes, one a line, id 0 first.

    Raises:
        DataError: if the file is unreadable, empty, not UTF-8, or has an empty line before its
            last name (the ids of the names below it would be in doubt).
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check the file and its permissions"
        ) from None
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError(f"{path}: no class names in it; write one name a line, id 0 first")
    if "" in names:
        raise DataError(
            f"{path}: line {names.index('') + 1} is empty; write one name a line, id 0 first"
        )
    return tuple(names)
