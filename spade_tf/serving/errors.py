"""What can be wrong between a client and a model."""

from __future__ import annotations

import re


class ServingError(ValueError):
    """A server that cannot be started or asked; the message is one line.

    Attributes:
        status: of HTTP, for what a request is answered with.
        code: of gRPC, likewise.
    """

    status = 500
    code = "INTERNAL"


class BadRequestError(ServingError):
    """A request that will never be answered as it is: what was received, and the way out."""

    status = 400
    code = "INVALID_ARGUMENT"


class TooLargeError(BadRequestError):
    """A body beyond the limit."""

    status = 413
    code = "RESOURCE_EXHAUSTED"


class MediaTypeError(BadRequestError):
    """A body that is encoded in a way that is not taken."""

    status = 415


class MissingError(ServingError):
    """A model, a version or a label that is not there."""

    status = 404
    code = "NOT_FOUND"


class UnsupportedError(ServingError):
    """A method of a protocol that this server does not offer."""

    status = 501
    code = "UNIMPLEMENTED"


class OverloadedError(ServingError):
    """A request that may be answered later, as too many wait."""

    status = 503
    code = "RESOURCE_EXHAUSTED"


class UnavailableError(ServingError):
    """A request that may be answered later, as no model is loaded."""

    status = 503
    code = "UNAVAILABLE"


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
