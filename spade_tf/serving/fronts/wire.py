"""Checks the bytes of a protocol buffer before it is parsed.

Parsing holds Python's global lock. A message of millions of small parts takes seconds, and no
health check would be answered meanwhile. So parts are counted first, by code that lets other
threads run. Messages with more parts than any valid request are refused.

Reference: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from spade_tf.serving.errors import BadRequestError

_MOST_PARTS = 10_000
_MOST_NUMBERS = 1 << 22
_DEEPEST = 16

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def parse_message(kind: Any, message: bytes) -> Any:
    """Parses a message.

    Args:
        kind: class of the message.
        message: its bytes.

    Raises:
        BadRequestError: if it has too many parts, or is not of this class.
    """
    _count(memoryview(message), kind.DESCRIPTOR, 0, 0)
    try:
        return kind.FromString(message)
    except Exception as error:
        # DecodeError, or another error, depending on the implementation of protocol buffers.
        raise BadRequestError(
            f"the message is no {kind.DESCRIPTOR.name} ({' '.join(str(error).split())[:120]})"
        ) from None


@functools.cache
def _contents(descriptor: Descriptor) -> dict[int, Descriptor | None]:
    """The content of length-delimited fields, by number: a message, or None for numbers."""
    return {
        field.number: field.message_type for field in descriptor.fields if field.type not in _TEXTS
    }


def _count(message: memoryview, descriptor: Descriptor, parts: int, depth: int) -> int:
    contents = _contents(descriptor)
    offset = 0
    while offset < len(message):
        parts += 1
        if parts > _MOST_PARTS or depth > _DEEPEST:
            raise BadRequestError(
                f"the message has more than {_MOST_PARTS} parts, or more than {_DEEPEST} levels; "
                "send arrays as tensor_content or raw_input_contents"
            )
        key, offset = _varint(message, offset)
        number, kind = key >> 3, key & 7
        if kind == _LENGTH:
            size, offset = _varint(message, offset)
            part = message[offset : offset + size]
            if number in contents:
                inner = contents[number]
                if inner is None:
                    _check_numbers(part)
                else:
                    parts = _count(part, inner, parts, depth + 1)
            offset += size
        elif kind == _VARINT:
            _, offset = _varint(message, offset)
        elif kind in (_FIXED64, _FIXED32):
            offset += 8 if kind == _FIXED64 else 4
        else:
            raise BadRequestError("the message cannot be read; send one of this protocol")
    if offset != len(message):
        raise BadRequestError("the message is cut off; send it whole")
    return parts


def _varint(message: memoryview, offset: int) -> tuple[int, int]:
    value = shift = 0
    while offset < len(message) and shift < 70:
        byte = message[offset]
        offset += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, offset
        shift += 7
    raise BadRequestError("the message is cut off; send it whole")


def _check_numbers(packed: memoryview) -> None:
    count = int(np.count_nonzero(np.frombuffer(packed, np.uint8) < 128))
    if count > _MOST_NUMBERS:
        raise BadRequestError(
            f"a list of about {count} numbers received, and {_MOST_NUMBERS} are taken at most; "
            "send arrays as tensor_content or raw_input_contents"
        )
