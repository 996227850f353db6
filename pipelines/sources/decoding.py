"""Opens picture files, turns pictures upright, and encodes them again."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import struct
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from pipelines.schema import BadFileError

LOSSLESS_FORMATS = ("PNG", "BMP", "GIF", "TIFF", "PPM", "TGA")
# A JPEG with a second picture for its depth, as telephones make them, is called MPO.
LOSSY_FORMATS = ("JPEG", "MPO", "WEBP", "AVIF", "HEIF", "JPEG2000")
# What training reads as it is.
STORED_FORMATS = ("PNG", "JPEG", "MPO")
# For photographs of lossy formats that are encoded anew: what is lost once more is not seen.
_QUALITY = 95


_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
DAMAGE = (OSError, SyntaxError, ValueError, struct.error)


def orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation of an opened picture: 1 is upright, 2 to 8 are not.

    A picture without one, or with one that cannot be read, is taken to be upright.

    Raises:
        OSError: if the picture is damaged.
    """
    if image.format not in ("JPEG", "MPO"):
        # The tag may follow the pixels, or be applied as these are read.
        image.load()
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (*DAMAGE, TypeError, KeyError):
        return 1
    return value if value in range(1, 9) else 1


def upright(image: Image.Image) -> Image.Image:
    """Returns an opened picture as it is to be seen, by its EXIF orientation.

    Photographs, style images and maps are all turned here.

    Args:
        image: as `PIL.Image.open` returns it.

    Raises:
        OSError: if the picture is damaged.
    """
    if orientation(image) == 1:
        return image
    return ImageOps.exif_transpose(image)


def encode_like(image: Image.Image, image_format: str | None) -> bytes:
    """Encodes an RGB or greyscale picture that was changed after it was read.

    Args:
        image: the picture.
        image_format: of the file that it was read from, as Pillow names it. A lossy one gives a
            JPEG of quality 95 with all its colour samples, any other a PNG.
    """
    buffer = io.BytesIO()
    if image_format in LOSSY_FORMATS:
        image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def is_opaque(image: Image.Image) -> bool:
    """Tells whether no pixel of a picture is transparent."""
    if not image.has_transparency_data:
        return True
    return image.convert("RGBA").getchannel("A").getextrema() == (255, 255)


def bit_depth(image: Image.Image, encoded: bytes) -> int:
    """Returns the bits per channel of an opened picture.

    Args:
        image: the picture.
        encoded: the bytes of its file.
    """
    if encoded.startswith(_PNG_SIGNATURE):
        # Pillow does not tell; in the file it follows signature, chunk header, width and height.
        return encoded[24]
    return {"1": 1, "I;16": 16, "I;16B": 16, "I": 32, "F": 32}.get(image.mode, 8)


def damaged(path: Path, error: Exception) -> BadFileError:
    """Returns the error for a file that cannot be decoded, with what its decoder says."""
    return BadFileError(
        path,
        "truncated",
        f"truncated or damaged ({' '.join(str(error).split())}); replace it",
    )


def undecodable(path: Path) -> BadFileError:
    """Returns the error for a file that TensorFlow cannot decode, though Pillow can."""
    return BadFileError(
        path,
        "truncated",
        "truncated or damaged, cannot be decoded; replace it",
    )


def read_bytes(path: Path) -> bytes:
    """Returns the content of a file.

    Raises:
        BadFileError: if it cannot be read or is empty.
    """
    try:
        if path.exists() and not path.is_file():
            # Reading a pipe would wait for ever for somebody to write to it.
            raise BadFileError(path, "unreadable", "not a regular file; remove it")
        encoded = path.read_bytes()
    except OSError as error:
        raise BadFileError(
            path,
            "unreadable",
            f"cannot be read ({error.strerror}); check the file and its permissions",
        ) from None
    if not encoded:
        raise BadFileError(path, "empty file", "empty file (0 bytes); replace it")
    return encoded


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    with contextlib.suppress(ImportError):
        importlib.import_module("pi_heif").register_heif_opener()
    return tuple(name for name in LOSSLESS_FORMATS + LOSSY_FORMATS if name in Image.OPEN)


def open_picture(encoded: bytes, path: Path) -> Image.Image:
    """Opens a picture; its pixels are decoded when they are asked for.

    Args:
        encoded: the bytes of the file.
        path: the file, for the error message.

    Raises:
        BadFileError: if it is damaged, of another format, too large, or holds several pictures.
    """
    try:
        image = Image.open(io.BytesIO(encoded), formats=_formats())
    except Image.DecompressionBombError:
        raise BadFileError(
            path, "too large", "too many pixels to be read safely; scale it down"
        ) from None
    except Image.UnidentifiedImageError:
        if path.suffix.lower() in (".heic", ".heif", ".avif") and b"ftyp" in encoded[:12]:
            raise BadFileError(
                path,
                "unread format",
                f"{path.suffix} needs another package; pip install 'spade-tf[heic]', or convert it "
                "to JPEG",
            ) from None
        raise BadFileError(
            path,
            "truncated",
            "truncated, or neither JPEG nor PNG nor of another format that is read; replace it",
        ) from None
    except DAMAGE as error:
        raise damaged(path, error) from None
    num_pictures = getattr(image, "n_frames", 1)
    if image.format != "MPO" and num_pictures > 1:
        raise BadFileError(
            path, "several pictures", f"{num_pictures} pictures in one file; save one of them"
        )
    return image
