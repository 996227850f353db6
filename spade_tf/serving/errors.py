"""What can be wrong between a client and a model."""

from __future__ import annotations

import re


class ServingError(ValueError):
    """A server that cannot be started or asked; the message is one line."""


class BadRequestError(ServingError):
    """A request that will never be answered as it is: what was received, and the way out."""


class OverloadedError(ServingError):
    """A request that may be answered later."""


def sentence(text: str) -> str:
    """What a graph said of its inputs, without the places in the graph where it said it.

    Args:
        text: of an error of a TensorFlow runtime, or of a server of one.
    """
    said = re.search(r"assertion failed: \[(.*?)\](?:\s|$)(?!\S+ or )", text)
    if said is not None:
        return said[1]
    damaged = re.search(r"Invalid (PNG|JPEG)\b|(jpeg)::Uncompress failed", text)
    if damaged is not None:
        kind = (damaged[1] or damaged[2]).upper()
        return f"a {kind} file is truncated or damaged; send it whole"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    skipped = ("Graph execution error", "Detected at node", "<stack traces", "[[{{node")
    kept = [line for line in lines if not line.startswith(skipped)]
    return (kept or lines or ["the model refused the request"])[0][:300]
