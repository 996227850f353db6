"""The cost of a request, from the costs that the export states."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from spade_tf.serving.errors import BadRequestError
from spade_tf.serving.limits import RequestLimits
from spade_tf.serving.requests import Request

_GIB = 1 << 30


class Work(NamedTuple):
    """The costs of an export's pictures.

    Attributes:
        gmac_per_pixel: billions of multiply-adds per pixel of a picture.
        gmac_per_photograph: billions of multiply-adds for the style of a photograph.
        memory: by signature, bytes of a process, and bytes per pixel that is made at once.
    """

    gmac_per_pixel: float
    gmac_per_photograph: float
    memory: Mapping[str, tuple[float, float]]


def read_work(version: Path) -> Work | None:
    """Reads the costs that a version states; None if it states none.

    Args:
        version: directory of a SavedModel.
    """
    path = version / "assets.extra" / "work.json"
    try:
        content = json.loads(path.read_text())
        pixels = content["height"] * content["width"]
        return Work(
            content["gmac"]["picture"] / pixels,
            content["gmac"]["photograph"],
            {name: (each["base"], each["per_pixel"]) for name, each in content["memory"].items()},
        )
    except FileNotFoundError:
        return None


def check_work(request: Request, work: Work | None, limits: RequestLimits) -> None:
    """Raises a BadRequestError if a request needs too much work or too much memory.

    Args:
        request: the request.
        work: costs of the export; None if it states none.
        limits: limits of a request.
    """
    if work is None:
        return
    pixels = request.pixels
    photographs = request.rows if "image_bytes" in request.inputs else 0
    gmac = work.gmac_per_pixel * pixels + work.gmac_per_photograph * photographs
    if gmac > limits.max_gmac:
        raise BadRequestError(
            f"{pixels or photographs} {'pixels' if pixels else 'photographs'} in all take "
            f"{gmac:.0f} GMAC, and {limits.max_gmac:g} are computed at most; send fewer or smaller "
            "pictures in a request"
        )
    if not work.memory or not pixels or limits.max_memory is None:
        return
    base, per_pixel = work.memory.get(request.signature, work.memory["serving_default"])
    # Other batches may run beside it, and it may share its batch with others of its size.
    at_once = limits.num_threads * pixels * max(limits.micro_batch / request.rows, 1)
    needed = base + per_pixel * at_once
    if needed > limits.max_memory:
        raise BadRequestError(
            f"{pixels} pixels in all may take {needed / _GIB:.1f} GiB of memory, and this server "
            f"has {limits.max_memory / _GIB:.1f}; send fewer or smaller pictures in a request"
        )


def available_memory() -> int | None:
    """Bytes of memory of this machine or container; None if unknown."""
    found = []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(path).read_text()))
        except (OSError, ValueError):
            # Not a container, or one without a limit.
            continue
    with contextlib.suppress(AttributeError, OSError, ValueError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(found, default=None)
