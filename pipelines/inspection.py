"""Reads the files of a data set, so that no bad file gets further than here.

Every check ends in a `BadFileError` that names the file, what was found in it and the way out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pipelines import pictures
from pipelines.listing import Pair, enumerate_few, jpeg_mask
from pipelines.listing import list_images as list_images
from pipelines.palettes import Palette
from pipelines.schema import MAX_IDS, BadFileError, DataError

_SAVE_AS_IDS = "save it as a single-channel 8-bit or 16-bit PNG whose values are the ids"
_SAVE_AS_IMAGE = "save it as an 8-bit RGB or greyscale JPEG or PNG"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class EncodedImage(NamedTuple):
    """A photograph that was decoded once to see that it can be, still as it was encoded.

    Attributes:
        encoded: the bytes of the file; encoded anew where the picture had to be turned.
        height: in pixels.
        width: in pixels.
        orientation: EXIF orientation of the file; the picture itself is upright.
    """

    encoded: bytes
    height: int
    width: int
    orientation: int = 1


def read_image(path: Path) -> EncodedImage:
    """Reads a photograph upright and decodes it whole, as training will.

    A photograph whose EXIF orientation says so is turned and encoded anew (`pictures.upright`).

    Args:
        path: a JPEG or PNG file, RGB or greyscale, or a PNG with an opaque palette.

    Raises:
        BadFileError: if the file is unreadable, empty, truncated, neither JPEG nor PNG, or of a
            colour mode that does not turn into RGB without loss of meaning (alpha, CMYK).
    """
    import tensorflow as tf

    encoded = _read_bytes(path)
    with _open(encoded, path) as image:
        mode = image.mode
        opaque_palette = mode == "P" and "transparency" not in image.info
        if mode not in ("RGB", "L") and not opaque_palette:
            raise BadFileError(path, "image mode", f"photograph in mode {mode}; {_SAVE_AS_IMAGE}")
        try:
            orientation = pictures.orientation(image)
            if orientation != 1:
                turned = pictures.upright(image)
                turned = turned.convert("RGB") if mode == "P" else turned
                encoded = pictures.encode_like(turned, image.format)
                width, height = turned.size
            else:
                width, height = image.size
        except (OSError, SyntaxError, ValueError) as error:
            raise _damaged(path, error) from None
    # Training decodes with TensorFlow, whose decoder is stricter than Pillow's in places.
    try:
        tf.io.decode_image(encoded, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError:
        raise BadFileError(
            path,
            "truncated",
            "truncated or damaged, cannot be decoded; replace it or remove its pair",
        ) from None
    return EncodedImage(encoded, height, width, orientation)


def read_ids(path: Path, *, palette_indices: bool = False) -> np.ndarray:
    """Reads a map of ids, be they label or instance ids.

    Args:
        path: a single-channel PNG of 8 or 16 bits.
        palette_indices: whether a PNG with a palette is taken too, for its indices.

    Returns:
        uint16 array `[H, W]`.

    Raises:
        BadFileError: if the file is unreadable, empty, truncated, a JPEG, or does not hold ids
            (colour, palette, alpha, less than 8 bits).
    """
    encoded = _read_bytes(path)
    with _open(encoded, path) as image:
        if image.format == "JPEG":
            raise jpeg_mask(path)
        if image.mode == "P" and not palette_indices:
            raise BadFileError(
                path,
                "palette mask",
                "palette PNG (colours, mode P) where ids are expected; pass --palette, or if its "
                f"palette indices are the ids, {_SAVE_AS_IDS}",
            )
        if image.mode in ("RGB", "RGBA"):
            raise BadFileError(
                path,
                "colour mask",
                f"{image.mode} colour mask where ids are expected; pass --palette, or map each "
                f"colour to its id and {_SAVE_AS_IDS}",
            )
        bit_depth = _png_bit_depth(encoded)
        # Some releases of Pillow call 16 bits "I". Fewer than 8 bits are stretched over 0..255 by
        # every decoder, which turns an id into another one.
        shallow = bit_depth < 8 and image.mode != "P"
        if image.mode not in ("L", "I", "I;16", "I;16B", "P") or shallow:
            raise BadFileError(
                path,
                "bit depth",
                f"{bit_depth}-bit PNG in mode {image.mode} where ids are expected; {_SAVE_AS_IDS}",
            )
        return _pixels(image, path).astype(np.uint16)


def read_colors(path: Path) -> np.ndarray:
    """Reads a mask that holds colours.

    Args:
        path: a PNG, RGB, or with a palette (whose colours are taken, not its indices), or RGBA
            where every pixel is opaque.

    Returns:
        uint8 array `[H, W, 3]`.

    Raises:
        BadFileError: if the file is unreadable, empty, truncated, a JPEG, or does not hold colours.
    """
    encoded = _read_bytes(path)
    with _open(encoded, path) as image:
        if image.format == "JPEG":
            raise jpeg_mask(path)
        if image.mode not in ("RGB", "RGBA", "P"):
            raise BadFileError(
                path,
                "bit depth",
                f"PNG in mode {image.mode} where the colours of a palette are expected; leave "
                "--palette out if it holds ids, or save it as an RGB or palette PNG",
            )
        # Decoding comes first: a damaged file is better called that than converted.
        pixels = _pixels(image, path)
        if image.mode == "P":
            return np.asarray(pictures.upright(image).convert("RGB"))
        if image.mode == "RGBA" and pixels[..., 3].min() < 255:
            raise BadFileError(
                path,
                "colour mask",
                "RGBA colour mask with transparent pixels, whose colours are in doubt; save it as "
                "an RGB PNG",
            )
        return pixels[..., :3]


def read_condition(path: Path) -> tuple[bytes, tuple[int, ...], int]:
    """Reads a continuous map, such as edges or a heat map, as far as is needed to check it.

    Args:
        path: a PNG: greyscale of 8 or 16 bits, RGB or RGBA.

    Returns:
        The map as an upright PNG, its shape `(H, W, C)`, and its bits per channel.

    Raises:
        BadFileError: if the file is unreadable, empty, truncated, or no such PNG.
    """
    import tensorflow as tf

    encoded = _read_bytes(path)
    with _open(encoded, path) as image:
        bits = _png_bit_depth(encoded)
        channels = {"L": 1, "I": 1, "I;16": 1, "I;16B": 1, "RGB": 3, "RGBA": 4}.get(image.mode, 0)
        if image.format != "PNG" or not channels or bits not in (8, 16):
            raise BadFileError(
                path,
                "bit depth",
                f"{image.format} in mode {image.mode} where a continuous map is expected; save it "
                "as a PNG, greyscale of 8 or 16 bits, RGB or RGBA",
            )
        try:
            turned = pictures.upright(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise _damaged(path, error) from None
        height, width = turned.height, turned.width
        if turned is not image:
            encoded = pictures.encode_like(turned, image.format)
    try:
        tf.io.decode_png(encoded, dtype=tf.uint8 if bits == 8 else tf.uint16)
    except tf.errors.InvalidArgumentError:
        raise BadFileError(
            path,
            "truncated",
            "truncated or damaged, cannot be decoded; replace it or remove its pair",
        ) from None
    return encoded, (height, width, channels), bits


def _pixels(image: Image.Image, path: Path) -> np.ndarray:
    try:
        return np.asarray(pictures.upright(image))
    except (OSError, SyntaxError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> BadFileError:
    return BadFileError(
        path,
        "truncated",
        f"truncated or damaged ({_one_line(error)}); replace it or remove its pair",
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _read_bytes(path: Path) -> bytes:
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise BadFileError(
            path,
            "unreadable",
            f"cannot be read ({error.strerror}); check the file and its permissions",
        ) from None
    if not encoded:
        raise BadFileError(
            path, "empty file", "empty file (0 bytes); replace it or remove its pair"
        )
    return encoded


def _open(encoded: bytes, path: Path) -> Image.Image:
    try:
        return Image.open(io.BytesIO(encoded), formats=("JPEG", "PNG"))
    except Image.DecompressionBombError:
        raise BadFileError(
            path, "too large", "too many pixels to be read safely; scale it down"
        ) from None
    except Image.UnidentifiedImageError:
        raise BadFileError(
            path, "truncated", "truncated, or neither JPEG nor PNG; replace it or remove its pair"
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
        remedy = f"correct the file, or pass --num_classes={outside[-1] + 1} if they are classes"
        if outside == [unknown]:
            remedy = "correct the file, or pass has_unknown=True if it marks unlabelled pixels"
        raise BadFileError(
            path,
            "id out of range",
            f"label ids {enumerate_few(outside)} in {counts[outside].sum()} pixels are "
            f"outside the classes ({allowed}); {remedy}",
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


def map_colors(
    colors: np.ndarray, path: Path, palette: Palette, unknown: int | None
) -> tuple[np.ndarray, int]:
    """Turns the colours of a mask into ids.

    Args:
        colors: uint8 array `[H, W, 3]`, as `read_colors` returns it.
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
        strange, pixels = np.unique(colors[off], axis=0, return_counts=True)
        order = np.argsort(-pixels, kind="stable")
        named = enumerate_few(["(" + ",".join(map(str, strange[i])) + ")" for i in order])
        raise BadFileError(
            path,
            "off palette",
            f"{count} of {off.size} pixels have colours that palette {palette.name} does not "
            f"hold: {named}; correct the mask, give the palette that it was drawn with, or pass "
            "--off_palette=unknown",
        )
    if unknown is not None:
        ids[off] = unknown
    return ids.astype(np.uint16), count


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
