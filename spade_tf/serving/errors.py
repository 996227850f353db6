"""Errors of serving, and the status codes that they are answered with."""

from __future__ import annotations

import re


class ServingError(ValueError):
    """A server cannot be started, or a request cannot be answered; the message is one line.

    Attributes:
        status: HTTP status of the answer.
        code: gRPC status code of the answer.
    """

    status = 500
    code = "INTERNAL"


class BadRequestError(ServingError):
    """A request that can never be answered. The message says what was received and what to do."""

    status = 400
    code = "INVALID_ARGUMENT"


class TooLargeError(BadRequestError):
    """A body that is larger than the limit."""

    status = 413
    code = "RESOURCE_EXHAUSTED"


class MediaTypeError(BadRequestError):
    """A body with an encoding that is not supported."""

    status = 415


class MissingError(ServingError):
    """A model, a version or a label that does not exist."""

    status = 404
    code = "NOT_FOUND"


class ForbiddenError(ServingError):
    """A request from a page that the server does not answer."""

    status = 403
    code = "PERMISSION_DENIED"


class UnsupportedError(ServingError):
    """A method of a protocol that this server does not offer."""

    status = 501
    code = "UNIMPLEMENTED"


class OverloadedError(ServingError):
    """A request that may be answered later: too many are waiting now."""

    status = 503
    code = "RESOURCE_EXHAUSTED"


class UnavailableError(ServingError):
    """A request that may be answered later: no model is loaded now."""

    status = 503
    code = "UNAVAILABLE"


def sentence(text: str) -> str:
    """Extracts the sentence about the inputs from a graph's error, without places in the graph.

    Args:
        text: the error of a TensorFlow runtime, or of a server that runs one.
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
