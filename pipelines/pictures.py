"""How pictures are read from files, whatever they are for.

Pictures are read upright: turned and mirrored as their EXIF orientation says, as every viewer
shows them. Label maps are drawn over what a viewer shows.
"""

from __future__ import annotations

import io
import struct

from PIL import ExifTags, Image, ImageOps

# What these formats keep is an approximation already; one more, at this quality, is not seen.
_LOSSY = ("JPEG", "MPO")
_QUALITY = 95


def orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation of an opened picture: 1 is upright, 2 to 8 are not.

    A picture without one, or with one that cannot be read, is taken to be upright.

    Raises:
        OSError: if the picture is damaged.
    """
    if image.format == "PNG":
        # The tag may follow the pixels. Damage to these is no matter of the tag.
        image.load()
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return 1
    return value if value in range(1, 9) else 1


def upright(image: Image.Image) -> Image.Image:
    """Returns an opened picture as it is to be seen, by its EXIF orientation.

    This is the one place that the rule is in: photographs, style images and maps all pass it.

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
    if image_format in _LOSSY:
        image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()
