"""Writes answers as JSON, in pieces that each hold Python's lock for milliseconds."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import orjson

# Numbers per piece: about 4 ms of writing.
_PIECE = 1 << 16


def rest_answer(outputs: Mapping[str, np.ndarray], by_rows: bool) -> Iterator[bytes]:
    """The answer of TF Serving's REST interface, version 1.

    Args:
        outputs: outputs of a signature, by key.
        by_rows: whether the request had `instances`, not `inputs`.

    Yields:
        Pieces of `{"predictions": rows}` or `{"outputs": columns}`. A single output is written
        without its key.
    """
    yield b'{"predictions":' if by_rows else b'{"outputs":'
    if len(outputs) == 1:
        ((key, value),) = outputs.items()
        yield from _array(key, value)
    elif by_rows:
        for index in range(len(next(iter(outputs.values())))):
            row = {key: value[index] for key, value in outputs.items()}
            yield b"," if index else b"["
            yield from _object(row)
        yield b"]"
    else:
        yield from _object(outputs)
    yield b"}"


def flat(key: str, value: np.ndarray) -> Iterator[bytes]:
    """Pieces of a flat list of all values of an array, for the open inference protocol.

    Args:
        key: key of the array; files are written as base64.
        value: the array.
    """
    yield from _array(key, value.reshape(-1), _base64_of)


def _object(values: Mapping[str, Any]) -> Iterator[bytes]:
    for index, (key, value) in enumerate(values.items()):
        yield (b"," if index else b"{") + orjson.dumps(key) + b":"
        yield from _array(key, value)
    yield b"}"


def _array(
    key: str, value: Any, text: Callable[[str, bytes], Any] | None = None
) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield orjson.dumps((text or _object_of)(key, value))
        return
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        yield orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        return
    yield b"["
    size_of_row = value[:1].size
    if value.dtype == object or size_of_row > _PIECE:
        for index, item in enumerate(value):
            if index:
                yield b","
            yield from _array(key, item, text)
    else:
        rows = _PIECE // max(size_of_row, 1)
        for start in range(0, len(value), rows):
            part = np.ascontiguousarray(value[start : start + rows])
            written = orjson.dumps(part, option=orjson.OPT_SERIALIZE_NUMPY)
            # Without its own brackets.
            yield (b"," if start else b"") + written[1:-1]
    yield b"]"


def _object_of(key: str, item: bytes) -> Any:
    return {"b64": base64.b64encode(item).decode()} if key.endswith("_bytes") else _decoded(item)


def _base64_of(key: str, item: bytes) -> str:
    return base64.b64encode(item).decode() if key.endswith("_bytes") else _decoded(item)


def _decoded(item: bytes) -> str:
    return item.decode(errors="replace")
