"""Turns tensors into pictures to look at: coloured label maps, photographs, grids."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

# One of the keywords that the PNG specification names.
_DESCRIPTION = "Description"


def colorize(label: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """A label map in the colours of its classes.

    Args:
        label: int `[..., H, W]`, ids in `[0, len(palette))`.
        palette: an RGB colour in 0..255 per id.

    Returns:
        uint8 `[..., H, W, 3]`.
    """
    return np.asarray(palette, np.uint8)[label]


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Pictures in [-1, 1] as uint8, rounded to the nearest value."""
    return np.clip(np.rint((np.asarray(image) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def over_checks(picture: np.ndarray, side: int = 4) -> np.ndarray:
    """A picture over a pattern of grey checks, which shows where the picture is transparent.

    Args:
        picture: float `[..., H, W, 4]`, 0 to 1: red, green and blue, multiplied by the opacity;
            and the opacity.
        side: int >= 1, of a check in pixels.

    Returns:
        uint8 `[..., H, W, 3]`.
    """
    rows, columns = np.indices(picture.shape[-3:-1]) // side
    checks = np.where((rows + columns) % 2, 0.5, 0.75)[..., None]
    return to_uint8(2.0 * (picture[..., :3] + (1.0 - picture[..., 3:]) * checks) - 1.0)


def grid(rows: Sequence[Sequence[np.ndarray]], gap: int = 2) -> np.ndarray:
    """Arranges pictures in a grid on white.

    Args:
        rows: rows of uint8 `[H, W, 3]` pictures, equally many in each row. Each cell is as large as
            the largest picture.
        gap: int >= 0, pixels between them.

    Returns:
        uint8 `[height, width, 3]`.
    """
    height, width = (max(p.shape[axis] for row in rows for p in row) for axis in range(2))
    count = len(rows[0])
    canvas = np.full(
        (len(rows) * (height + gap) - gap, count * (width + gap) - gap, 3), 255, np.uint8
    )
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            top, left = i * (height + gap), j * (width + gap)
            rows_high, columns_wide, _ = picture.shape
            canvas[top : top + rows_high, left : left + columns_wide] = picture
    return canvas


def encode_png(picture: np.ndarray) -> bytes:
    """A PNG file.

    Args:
        picture: uint8 `[H, W, 3]`, or `[H, W]` (uint8 or uint16) for ids.
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def write_png(path: str | os.PathLike[str], picture: np.ndarray, description: str = "") -> None:
    """Writes a PNG, whole or not at all.

    Args:
        path: the file. Its directory is made if absent.
        picture: uint8 `[H, W, 3]`.
        description: text to keep in the file; see `read_columns`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    try:
        text = PngImagePlugin.PngInfo()
        if description:
            text.add_text(_DESCRIPTION, description)
        Image.fromarray(picture).save(temporary, "PNG", pnginfo=text)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_columns(path: str | os.PathLike[str]) -> str:
    """Names of the pictures of a sample, such as "label | canvas | generated | real".

    Args:
        path: PNG of a grid, whose description `write_png` kept. That of an earlier version has
            none, nor a canvas.
    """
    columns = ""
    with contextlib.suppress(UnidentifiedImageError), Image.open(path) as image:
        columns = image.info.get(_DESCRIPTION, "")
    return columns or "label | generated | real"
