"""Gives pictures and maps the size that networks take: in training, in evaluation and in use.

| preprocess | training | evaluation and use |
|---|---|---|
| `resize_and_crop` | scales to `load_size`, of any shape, then crops | scales to `crop_size` |
| `crop` | crops as it is | the middle |
| `scale_width` | scales to the width of `load_size`, the height follows | the same |
| `scale_width_and_crop` | the same, then crops | scales until `crop_size` is covered, the middle |
| `scale_short_side` | scales the shorter side to the smaller of `load_size` | the same |
| `scale_short_side_and_crop` | the same, then crops | as `scale_width_and_crop` |
| `fixed` | scales to `crop_size`, of any shape | the same |
| `none` | rounds both sides to multiples | the same |

Training crops at random, uniformly over all places where the crop fits. Where nothing sets both
sides, they are rounded to multiples that the network takes, at least one multiple. A network that
makes one size alone gets the middle of a picture scaled to cover that size.
"""

from __future__ import annotations

from typing import TypedDict, Unpack

from pipelines.reading import scaling, transforms
from pipelines.reading.examples import Transform
from pipelines.reading.preprocess import KEEP_SHAPE, PREPROCESS
from pipelines.schema import ArgumentError

# What the sides of pictures are rounded to where nothing else sets them.
_MULTIPLE = 32

Size = int | tuple[int, int]


class _Optional(TypedDict, total=False):
    preprocess: str
    multiple: int | None
    one_size: bool


class Sizing(_Optional):
    """How pictures get the size that networks take.

    Attributes:
        load_size: height and width that a picture is scaled to before it is cropped, in pixels
            (one number for a square); None to crop it as it is.
        crop_size: height and width of the result, in pixels (one number for a square).
        preprocess: one of `PREPROCESS`. Default `"resize_and_crop"`.
        multiple: int, at least 1. Sides that nothing else sets are rounded to multiples of it.
            Default None: 32 with `"none"`, otherwise no rounding.
        one_size: whether the network makes pictures of `crop_size` alone. Training ignores it.
    """

    load_size: Size | None
    crop_size: Size


def training_sizing(*, flip: bool = False, **size: Unpack[Sizing]) -> list[Transform]:
    """Returns the operations that give an example of training its size, and mirror it.

    Args:
        flip: whether half of the examples are mirrored.
        **size: see `Sizing`.

    Raises:
        DataError: if an argument cannot be used.
    """
    preprocess = size.get("preprocess", PREPROCESS[0])
    height, width, load = _sizes(preprocess, size["load_size"], size["crop_size"])
    crop = transforms.random_crop(height, width)
    mirror = [transforms.random_flip()] if flip else []
    if preprocess == "fixed":
        return [scaling.resize(height, width), *mirror]
    if preprocess == "crop" or (preprocess == "resize_and_crop" and load is None):
        return [crop, *mirror]
    if preprocess == "resize_and_crop" and load is not None:
        if height > load[0] or width > load[1]:
            raise ArgumentError(
                "crop_size",
                f"{height}x{width} received, larger than load_size "
                f"{load[0]}x{load[1]} (height x width); lower it or raise load_size",
            )
        return [scaling.resize_and_random_crop(*load, height, width, flip=flip)]
    if preprocess.endswith("_and_crop"):
        return [_scale(preprocess, load, 1), crop, *mirror]
    return [_scale(preprocess, load, size.get("multiple")), *mirror]


def evaluation_sizing(**size: Unpack[Sizing]) -> list[Transform]:
    """Returns the operations that give a picture, or its maps alone, its size after training.

    Args:
        **size: see `Sizing`.

    Raises:
        DataError: if an argument cannot be used.
    """
    preprocess = size.get("preprocess", PREPROCESS[0])
    height, width, load = _sizes(preprocess, size["load_size"], size["crop_size"])
    if preprocess in ("resize_and_crop", "fixed"):
        return [scaling.resize(height, width)]
    if preprocess == "crop":
        return [transforms.center_crop(height, width)]
    if size.get("one_size") or preprocess not in KEEP_SHAPE:
        return [scaling.scale_to_cover(height, width), transforms.center_crop(height, width)]
    return [_scale(preprocess, load, size.get("multiple"))]


def _scale(preprocess: str, load: tuple[int, int] | None, multiple: int | None) -> Transform:
    if preprocess == "none":
        return scaling.round_to_multiple(multiple or _MULTIPLE)
    assert load is not None
    if preprocess.startswith("scale_width"):
        return scaling.scale_width(load[1], multiple or 1)
    return scaling.scale_short_side(min(load), multiple or 1)


def _sizes(
    preprocess: str, load_size: Size | None, crop_size: Size
) -> tuple[int, int, tuple[int, int] | None]:
    """Returns height and width of the crop, and the size that is loaded, all of them checked."""
    if preprocess not in PREPROCESS:
        raise ArgumentError(
            "preprocess", f"{preprocess!r} received; give one of {', '.join(PREPROCESS)}"
        )
    if load_size is None and preprocess.startswith("scale_"):
        raise ArgumentError(
            "load_size", f"None received, but preprocess {preprocess} scales to it; give a number"
        )
    load = None if load_size is None else _pair("load_size", load_size)
    return (*_pair("crop_size", crop_size), load)


def _pair(name: str, size: Size) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise ArgumentError(name, f"{height}x{width} (height x width) received; give 1 or more")
    return height, width
