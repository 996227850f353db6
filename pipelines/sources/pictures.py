"""Reads pictures from files: photographs, and maps of ids, of colours or of values.

Pictures are read upright: turned and mirrored as their EXIF orientation says, as every viewer
shows them; label maps are drawn over what a viewer shows. Maps are read from lossless formats
only: lossy compression turns ids into other ids.

Every check ends in a `BadFileError` that names the file, what was found in it and the way out.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines.schema import MAX_IDS, BadFileError
from pipelines.sources.decoding import (
    DAMAGE,
    LOSSLESS_FORMATS,
    LOSSY_FORMATS,
    STORED_FORMATS,
    bit_depth,
    damaged,
    encode_like,
    is_opaque,
    open_picture,
    orientation,
    read_bytes,
    undecodable,
    upright,
)
from pipelines.sources.listing import lossy_mask

_SAVE_AS_IDS = "save it as a single-channel 8-bit or 16-bit PNG whose values are the ids"
_SAVE_AS_IMAGE = "save it as an 8-bit RGB or greyscale JPEG or PNG"
_SAVE_AS_CONDITION = "save it as a PNG, greyscale of 8 or 16 bits, RGB or RGBA"


class EncodedImage(NamedTuple):
    """A photograph that was decoded once to see that it can be, still encoded.

    Attributes:
        encoded: the bytes of the file; a JPEG or PNG made from it where it is of another format,
            or had to be turned.
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

    Args:
        path: a JPEG, PNG, BMP, GIF, TIFF, PPM, TGA, WebP, AVIF, JPEG 2000 or, with the extra heic,
            HEIC file, RGB or greyscale of 8 bits, or with a palette; an alpha channel must be
            opaque.

    Raises:
        BadFileError: if the file is unreadable, empty, truncated, of another format, or of a
            colour mode that does not turn into RGB without loss of meaning (CMYK, 16 bits).
    """
    import tensorflow as tf

    encoded = read_bytes(path)
    with open_picture(encoded, path) as image:
        found, turn = image.mode, 1
        try:
            turn = orientation(image)
            if found not in ("RGB", "L") and is_opaque(image):
                found = {"P": "RGB", "PA": "RGB", "RGBA": "RGB", "LA": "L"}.get(found, found)
            if found in ("RGB", "L") and (turn != 1 or image.format not in STORED_FORMATS):
                converted = upright(image).convert(found)
                encoded, (width, height) = encode_like(converted, image.format), converted.size
            else:
                width, height = image.size
        except DAMAGE as error:
            raise damaged(path, error) from None
        if found not in ("RGB", "L"):
            raise BadFileError(path, "image mode", f"photograph in mode {found}; {_SAVE_AS_IMAGE}")
    # Training decodes with TensorFlow, whose decoder is stricter than Pillow's in places.
    try:
        tf.io.decode_image(encoded, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError:
        raise undecodable(path) from None
    return EncodedImage(encoded, height, width, turn)


def read_ids(path: Path, *, palette_indices: bool = False) -> np.ndarray:
    """Reads a map of ids.

    Args:
        path: a lossless picture with one channel of up to 32 bits, with several channels that are
            all the same, or a `.npy` array `[H, W]`; the values are the ids, in all depths.
        palette_indices: whether a picture with a palette is taken too, for its indices.

    Returns:
        uint16 array `[H, W]`.

    Raises:
        BadFileError: if the file is unreadable, empty, truncated, lossy, or does not hold ids
            (colours, a palette, transparency, fractions, more than 16 bits).
    """
    values, mode = _read_map(path)
    if mode == "P" and not palette_indices:
        raise BadFileError(
            path,
            "palette mask",
            "palette PNG (colours, mode P) where ids are expected",
            f"pass {_palette_flag(path)}, or --palette=indices if its palette indices are the ids",
        )
    if mode in ("RGBA", "LA") and (values[..., -1] == 255).all():
        values = values[..., :-1]
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2:
        raise BadFileError(
            path,
            "colour mask",
            f"{mode} colour mask where ids are expected",
            f"pass {_palette_flag(path)}, or map each colour to its id and {_SAVE_AS_IDS}",
        )
    with np.errstate(invalid="ignore"):
        ids = values.astype(np.uint16)
    if (ids != values).any():
        outside = values[ids != values].flat[0]
        raise BadFileError(
            path,
            "bit depth",
            f"value {outside:g} where ids are expected, 0 to {MAX_IDS - 1}; {_SAVE_AS_IDS}",
        )
    return ids


def read_instances(path: Path) -> np.ndarray:
    """Reads an instance map: any lossless map, in which every value or colour is an instance.

    Args:
        path: as for `read_ids`, or a picture in colours, such as COCO's panoptic maps.

    Returns:
        uint16 array `[H, W]`: the values if they are 0 to 65535, else the numbers of the values
        or colours in their order.

    Raises:
        BadFileError: if the file is unreadable, empty, truncated, lossy, or has more than 65,536
            instances.
    """
    values, _ = _read_map(path)
    if values.ndim == 2 and values.dtype.kind in "bu" and values.itemsize <= 2:
        return values.astype(np.uint16)
    if values.ndim == 2 and values.min() >= 0 and values.max() < MAX_IDS:
        ids = values.astype(np.uint16)
        if (ids == values).all():
            return ids
    if values.ndim == 3:
        scales = (256 ** np.arange(values.shape[2])).astype(np.int64)
        values = values.astype(np.int64) @ scales
    found, numbers = np.unique(values, return_inverse=True)
    if len(found) > MAX_IDS:
        raise BadFileError(
            path,
            "too many instances",
            f"{len(found)} different values, more than {MAX_IDS} instances; take the map from the "
            "original annotation again",
        )
    return numbers.reshape(values.shape).astype(np.uint16)


def read_colors(path: Path) -> np.ndarray:
    """Reads a mask that holds colours.

    Args:
        path: a lossless picture of 8 bits: RGB, greyscale, or with a palette (whose colours are
            taken, not its indices), with or without an alpha channel.

    Returns:
        uint8 array `[H, W, 3]`, or `[H, W, 4]` if some pixels are not opaque.

    Raises:
        BadFileError: if the file is unreadable, empty, truncated, lossy, or does not hold colours.
    """
    encoded = read_bytes(path)
    with open_picture(encoded, path) as image:
        if image.format in LOSSY_FORMATS:
            raise lossy_mask(path, str(image.format))
        if image.mode not in ("RGB", "RGBA", "P", "PA", "L", "LA", "1"):
            raise BadFileError(
                path,
                "bit depth",
                f"{image.format} in mode {image.mode} where the colours of a palette are expected",
                "leave --palette out if it holds ids, or save it as an RGB or palette PNG",
            )
        try:
            colors = np.asarray(upright(image).convert("RGBA"))
        except DAMAGE as error:
            raise damaged(path, error) from None
    return colors[..., :3] if (colors[..., 3] == 255).all() else colors


def read_condition(path: Path) -> tuple[bytes, tuple[int, ...], int]:
    """Reads a continuous map, such as edges or a heat map, as far as is needed to check it.

    Args:
        path: a lossless picture: greyscale of 8 or 16 bits, RGB or RGBA.

    Returns:
        The map as an upright PNG, its shape `(H, W, C)`, and its bits per channel.

    Raises:
        BadFileError: if the file is unreadable, empty, truncated, or no such picture.
    """
    import tensorflow as tf

    encoded = read_bytes(path)
    if path.suffix.lower() == ".npy":
        raise BadFileError(path, "bit depth", f"array as a continuous map; {_SAVE_AS_CONDITION}")
    with open_picture(encoded, path) as image:
        channels = {"L": 1, "I": 1, "I;16": 1, "I;16B": 1, "RGB": 3, "RGBA": 4}.get(image.mode, 0)
        bits = bit_depth(image, encoded)
        if image.format not in LOSSLESS_FORMATS or not channels or bits not in (8, 16):
            raise BadFileError(
                path,
                "bit depth",
                f"{image.format} in mode {image.mode} where a continuous map is expected; "
                f"{_SAVE_AS_CONDITION}",
            )
        try:
            turned = upright(image)
            if turned is not image or image.format != "PNG":
                encoded = encode_like(turned, "PNG")
        except DAMAGE as error:
            raise damaged(path, error) from None
        height, width = turned.height, turned.width
    try:
        tf.io.decode_png(encoded, dtype=tf.uint8 if bits == 8 else tf.uint16)
    except tf.errors.InvalidArgumentError:
        raise undecodable(path) from None
    return encoded, (height, width, channels), bits


def _read_map(path: Path) -> tuple[np.ndarray, str]:
    """Returns the values of a lossless map, `[H, W]` or `[H, W, C]`, and its mode."""
    encoded = read_bytes(path)
    if path.suffix.lower() == ".npy":
        return _read_array(encoded, path), "array"
    with open_picture(encoded, path) as image:
        if image.format in LOSSY_FORMATS:
            raise lossy_mask(path, "JPEG" if image.format == "MPO" else str(image.format))
        try:
            values = np.asarray(upright(image))
        except DAMAGE as error:
            raise damaged(path, error) from None
        depth = bit_depth(image, encoded)
        if image.mode == "L" and depth < 8:
            # Every decoder stretches fewer bits over 0..255, which turns an id into another one.
            values = values // np.uint8(255 // (2**depth - 1))
        return values, image.mode


def _read_array(encoded: bytes, path: Path) -> np.ndarray:
    if not encoded.startswith(b"\x93NUMPY"):
        raise BadFileError(
            path,
            "truncated",
            "no NumPy array, though its name ends in .npy; save it with numpy.save",
        )
    try:
        # Pickled objects are not loaded: they could run anything.
        values = np.load(io.BytesIO(encoded), allow_pickle=False)
    except (*DAMAGE, EOFError) as error:
        raise damaged(path, error) from None
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.dtype.kind not in "biuf" or values.ndim != 2 or not values.size:
        raise BadFileError(
            path,
            "bit depth",
            f"array of {values.dtype}, shape {values.shape}, where ids [H, W] are expected; "
            f"{_SAVE_AS_IDS}",
        )
    return values


def _palette_flag(path: Path) -> str:
    """Returns the flag for a mask in colours: CVAT puts a list of them beside its masks."""
    for folder in list(path.absolute().parents)[:3]:
        if (folder / "labelmap.txt").is_file():
            return f"--palette={folder / 'labelmap.txt'}"
    return "--palette=NAME or FILE"
