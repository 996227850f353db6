"""Sizes of pictures that a generator can make."""

from __future__ import annotations

from spade_tf.layers.semantics import Semantics


def check_label_size(
    semantics: Semantics,
    multiple: int,
    image_size: tuple[int, int] | None = None,
    smallest: int = 1,
) -> None:
    """Raises a ValueError if the size of a label map is known and cannot be made.

    Args:
        semantics: the label maps.
        multiple: int, what height and width must be multiples of.
        image_size: `(height, width)`, the only one that can be made; None for any.
        smallest: int, what both must be at least.
    """
    _, height, width = semantics.shape
    if height is None or width is None:
        return
    if image_size is not None and (height, width) != image_size:
        raise ValueError(
            f"a generator that starts from z makes {image_size[0]}x{image_size[1]} "
            f"pictures only: received a label map of {height}x{width}"
        )
    check_image_size((height, width), multiple, smallest)


def check_image_size(image_size: tuple[int, int], multiple: int, smallest: int = 1) -> None:
    """Raises a ValueError that names what would do, unless a size can be made.

    Args:
        image_size: `(height, width)` in pixels.
        multiple: int, what both must be positive multiples of.
        smallest: int, what both must be at least.
    """
    if any(size < multiple or size % multiple for size in image_size):
        nearest = [max(round(size / multiple), 1) * multiple for size in image_size]
        raise ValueError(
            f"height and width must be multiples of {multiple}: received "
            f"{image_size[0]}x{image_size[1]}; the nearest is {nearest[0]}x{nearest[1]}"
        )
    if min(image_size) < smallest:
        raise ValueError(
            f"height and width must be at least {smallest} with padding='reflect', which mirrors "
            f"pixels of the first feature map: received {image_size[0]}x{image_size[1]}"
        )
