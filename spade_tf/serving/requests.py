"""Turns a client's values into arrays that fit a signature, or says why they do not fit."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from spade_tf.serving.errors import BadRequestError
from spade_tf.serving.limits import RequestLimits


class Spec(NamedTuple):
    """One input or output of a signature. It needs no TensorFlow, so other processes can use it.

    Attributes:
        dtype: "string", or the name of a NumPy dtype.
        shape: sizes; None for any size.
    """

    dtype: str
    shape: tuple[int | None, ...]


Signature = Mapping[str, Spec]
Specs = Mapping[str, Signature]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES = 33
_WHITE_SPACE = b" \t\n\r\v\f"


class Request(NamedTuple):
    """A request to a model.

    Attributes:
        signature: name of the signature.
        inputs: arrays by key.
        key: requests with equal keys can share a batch.
        rows: number of label maps or photographs.
        pixels: pixels of all pictures to make; 0 if the signature makes none.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    key: Any
    rows: int
    pixels: int = 0


def make_request(
    signature: str, values: Mapping[str, Any], specs: Specs, limits: RequestLimits
) -> Request:
    """Checks values against a signature, and makes a request.

    These keys may be left out: `seed` (then 0), `instance` and `instance_bytes` (then none), and
    the `label` of a photograph (then none).

    Args:
        signature: name of the signature.
        values: lists or arrays by key; bytes for strings.
        specs: specs of the model's inputs.
        limits: limits of a request.

    Raises:
        BadRequestError: if they do not fit.
    """
    wanted = signature_specs(signature, specs)
    unknown = [str(key)[:80] for key in values if key not in wanted]
    if unknown:
        raise BadRequestError(
            f"{unknown[0]!r} is no input of {signature}; its inputs are {', '.join(wanted)}"
        )
    inputs = {key: _array(key, value, wanted[key]) for key, value in values.items()}
    given = [key for key in wanted if key in inputs]
    # The label map of a photograph may be left out, and that of a picture not.
    defaults = _DEFAULTS | (_OF_PHOTOGRAPH if "image_bytes" in wanted else {})
    needed = [key for key in wanted if key not in inputs and key not in defaults]
    if needed:
        raise BadRequestError(f"{needed[0]}: missing; {signature} takes {', '.join(wanted)}")
    rows = len(inputs[given[0]])
    for key in wanted:
        if key not in inputs:
            inputs[key] = defaults[key](rows)
        if len(inputs[key]) != rows:
            raise BadRequestError(
                f"{key}: {len(inputs[key])} rows received, and {given[0]} has {rows}; give as many"
            )
    if not 1 <= rows <= limits.max_batch:
        raise BadRequestError(
            f"{given[0]}: {rows} rows received; give 1 to {limits.max_batch} in a request"
        )
    sizes, pixels = _check_pixels(inputs, limits)
    shapes = tuple(inputs[key].shape[1:] for key in wanted) + sizes
    return Request(signature, inputs, (signature, shapes), rows, pixels)


def signature_specs(signature: Any, specs: Specs) -> Signature:
    """The inputs of a signature.

    Raises:
        BadRequestError: if there is no such signature.
    """
    if not isinstance(signature, str) or signature not in specs:
        raise BadRequestError(
            f"signature_name: {str(signature)[:80]!r} received; give one of "
            f"{', '.join(sorted(specs))}"
        )
    return specs[signature]


_DEFAULTS: dict[str, Callable[[int], np.ndarray]] = {
    "seed": lambda rows: np.zeros([rows], np.int64),
    "instance": lambda rows: np.zeros([rows, 1, 1], np.int32),
    "instance_bytes": lambda rows: np.array([b""] * rows, object),
}
_OF_PHOTOGRAPH: dict[str, Callable[[int], np.ndarray]] = {
    "label": lambda rows: np.full([rows, 1, 1], -1, np.int32),
}


def _array(key: str, value: Any, spec: Spec) -> np.ndarray:
    if spec.dtype == "string":
        array = np.empty([len(value)], object) if isinstance(value, Sequence) else value
        if not isinstance(array, np.ndarray) or array.ndim != 1:
            raise BadRequestError(f"{key}: give a list of files, one for each row")
        if isinstance(value, Sequence):
            array[:] = value
        wrong = [item for item in array if not isinstance(item, bytes)]
        if wrong:
            raise BadRequestError(f"{key}: {type(wrong[0]).__name__} received; give bytes")
        return array
    try:
        array = np.asarray(value)
        if array.dtype == object and all(type(item) is int for item in array.flat):
            # Integers beyond 64 bits: floats say how large they are.
            array = array.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        array = np.asarray(None)
    if array.dtype == object:
        raise BadRequestError(
            f"{key}: not an array of numbers, or its rows differ in length; give "
            f"{_shape(key, spec)}"
        )
    wanted = np.dtype(spec.dtype)
    integers = wanted.kind in "iu"
    if array.size and integers:
        _check_bounds(key, array, spec.dtype)
    if array.size and array.dtype.kind not in ("iu" if integers else "iuf"):
        raise BadRequestError(
            f"{key}: {array.dtype.name} received; give {spec.dtype} {_shape(key, spec)}"
        )
    shape = spec.shape
    fits = array.ndim == len(shape) and all(
        size is None or size == given for size, given in zip(shape, array.shape, strict=False)
    )
    if not fits:
        raise BadRequestError(
            f"{key}: shape {list(array.shape)} received; give {spec.dtype} {_shape(key, spec)}"
        )
    with np.errstate(over="ignore"):
        # What float32 does not hold becomes infinite, and is refused as such.
        return array.astype(wanted)


def _check_bounds(key: str, array: np.ndarray, dtype: str) -> None:
    """Raises a BadRequestError if there are integers that a dtype does not hold.

    Those beyond 64 bits, and a mixture of signed and unsigned ones of 64, arrive as floats: only
    floats that are whole, and beyond the bounds, are taken for such.
    """
    if array.dtype.kind not in "iuf":
        return
    bounds = np.iinfo(dtype)
    for worst in (array.min().item(), array.max().item()):
        whole = isinstance(worst, int) or worst.is_integer()
        if whole and not bounds.min <= int(worst) <= bounds.max:
            raise BadRequestError(
                f"{key}: {worst} received, and {dtype} holds {bounds.min} to {bounds.max}; give "
                "one of these"
            )


_AXES = {"label": "BHW", "condition": "BHWC", "instance": "BHW", "seed": "B"}
# Of `z` and `class_styles`, all but the first one or two sizes are known.


def _shape(key: str, spec: Spec) -> str:
    names = _AXES.get(key, "BKCD")
    parts = [names[i] if size is None else str(size) for i, size in enumerate(spec.shape)]
    return f"[{', '.join(parts)}]"


def _check_pixels(
    inputs: Mapping[str, np.ndarray], limits: RequestLimits
) -> tuple[tuple[tuple[int, int], ...], int]:
    """Checks the numbers of pixels to make and decode; returns file sizes and pixels to make."""
    sizes: set[tuple[int, int]] = set()
    count = 0
    for key, value in inputs.items():
        if not key.endswith("_bytes"):
            continue
        read = photograph_size if key == "image_bytes" else png_size
        for index, encoded in enumerate(value):
            if not encoded and key == "instance_bytes":
                continue
            height, width = read(f"{key}[{index}]", encoded)
            if height * width > limits.max_pixels:
                raise BadRequestError(
                    f"{key}[{index}]: a file of {height}x{width} pixels received, and "
                    f"{limits.max_pixels} are taken at most; scale it down"
                )
            sizes.add((height, width))
            count += height * width if key != "instance_bytes" else 0
    for key in ("label", "condition"):
        # Of a photograph, the pixels of its file count.
        if key in inputs and "image_bytes" not in inputs:
            several = [
                inputs[name].shape[1]
                for name, rank in (("z", 3), ("class_styles", 4))
                if name in inputs and inputs[name].ndim == rank
            ]
            styles = max(several, default=1)
            count = math.prod(inputs[key].shape[:3]) * max(styles, 1)
    if count > limits.max_pixels:
        raise BadRequestError(
            f"{count} pixels in all, and {limits.max_pixels} are taken at most; send fewer "
            "pictures in a request"
        )
    return tuple(sorted(sizes)), 0 if "image_bytes" in inputs else count


def png_size(name: str, encoded: bytes) -> tuple[int, int]:
    """Height and width of a PNG file, from its header.

    Raises:
        BadRequestError: if it is not a PNG file.
    """
    if not encoded:
        raise BadRequestError(f"{name}: empty; send a single-channel PNG of ids")
    if not encoded.startswith(_PNG_SIGNATURE) or len(encoded) < _PNG_HEADER_BYTES:
        raise BadRequestError(
            f"{name}: not a PNG file, or one that is cut off; send a single-channel PNG of ids"
        )
    width, height = (int.from_bytes(encoded[i : i + 4], "big") for i in (16, 20))
    return height, width


def photograph_size(name: str, encoded: bytes) -> tuple[int, int]:
    """Height and width of a JPEG or PNG file, from its header.

    Raises:
        BadRequestError: if it is neither.
    """
    if encoded.startswith(_PNG_SIGNATURE):
        return png_size(name, encoded)
    try:
        with Image.open(io.BytesIO(encoded), formats=("JPEG",)) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise BadRequestError(
            f"{name}: neither a JPEG nor a PNG file, or one that is cut off; send a photograph"
        ) from None


def from_base64(name: str, text: Any) -> bytes:
    """Decodes base64.

    As in TF Serving, white space such as line breaks is skipped, and padding may be missing.

    Raises:
        BadRequestError: if it is not base64.
    """
    try:
        encoded = text.encode("ascii") if isinstance(text, str) else bytes(memoryview(text))
        encoded = encoded.translate(None, _WHITE_SPACE).rstrip(b"=")
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except (TypeError, ValueError):
        raise BadRequestError(f"{name}: not base64; encode the file's bytes by RFC 4648") from None
