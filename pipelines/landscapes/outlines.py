"""The shapes of upright things, drawn point by point in a box of their own.

Each function takes the random numbers of each point's object, `[N, 3·CLUMPS]`, the point's place
right of the object's middle (u) and above its foot (v), both in heights of the object, and the
noise of its leaves, and says what is there.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.landscapes import noise
from pipelines.landscapes.noise import Floats, smoothstep

CLUMPS = 13


class Outline(NamedTuple):
    """A kind of object at the points (u, v) of its box.

    Attributes:
        body: foliage or stone.
        stem: trunk.
        nx: how far the surface faces right.
        ny: how far it faces up.
        inner: depth below the outline, about 0 to 1.
    """

    body: NDArray[np.bool_]
    stem: NDArray[np.bool_]
    nx: Floats
    ny: Floats
    inner: Floats


def broadleaf(shape: Floats, u: Floats, v: Floats, leaf: Floats) -> Outline:
    """A round crown of clumps on a trunk."""
    best = np.full(u.shape, -1.0, np.float32)
    nx, ny = np.zeros_like(u), np.zeros_like(u)
    slim = 0.55 + 0.6 * shape[:, 38]
    for i in range(CLUMPS):
        ring = i / (CLUMPS - 1)
        cx = (shape[:, 3 * i] - 0.5) * (0.70 - 0.30 * ring) * slim
        cy = 0.38 + 0.46 * ring + 0.10 * (shape[:, 3 * i + 1] - 0.5)
        radius = (0.10 + 0.09 * shape[:, 3 * i + 2]) * (1.15 - 0.3 * ring)
        dx, dy = (u - cx) / radius, (v - cy) / radius
        dome = 1 - dx * dx - dy * dy
        better = dome > best
        best = np.where(better, dome, best)
        nx, ny = np.where(better, dx, nx), np.where(better, dy, ny)
    foliage = best + np.minimum(1.9 * leaf, 0.45) > 0.0
    trunk = np.abs(u - 0.03 * noise.wave(v)) < 0.034 * (1.25 - v)
    trunk &= (v < 0.5) & ~foliage
    # The whole crown is round too.
    return Outline(
        foliage,
        trunk,
        nx=0.42 * nx + 1.6 * u + leaf,
        ny=0.45 * ny + 1.5 * (v - 0.56) + leaf,
        inner=best,
    )


def cactus(shape: Floats, u: Floats, v: Floats, leaf: Floats) -> Outline:
    """A column with an arm on either side."""
    column = np.maximum(v - np.float32(0.88), 0)
    best = 1 - (u * u + column * column) / np.float32(0.0081)
    across = u / np.float32(0.09)
    for i, side in enumerate((-1.0, 1.0)):
        elbow, top = 0.28 + 0.25 * shape[:, 2 * i], 0.55 + 0.3 * shape[:, 2 * i + 1]
        reach = 0.20 + 0.08 * shape[:, 6 + i]
        # An arm: out from the trunk at the elbow, then up.
        x = u * np.float32(side)
        out = np.maximum(np.maximum(x - reach, -x), 0)
        level = 1 - (out * out + (v - elbow) * (v - elbow)) / np.float32(0.0036)
        beyond = np.maximum(np.maximum(v - top, elbow - v), 0)
        up = 1 - ((x - reach) * (x - reach) + beyond * beyond) / np.float32(0.0036)
        arm = np.maximum(level, up)
        across = np.where(arm > best, (x - reach) * np.float32(side) / np.float32(0.06), across)
        best = np.maximum(best, arm)
    ribs = noise.wave(across * 2.5)
    return Outline(
        body=best > 0,
        stem=np.zeros(u.shape, np.bool_),
        nx=across + 0.3 * ribs,
        ny=np.full_like(u, 0.2),
        inner=0.5 + 0.4 * ribs,
    )


def bush(shape: Floats, u: Floats, v: Floats, leaf: Floats) -> Outline:
    """A crown without a trunk."""
    crown = broadleaf(shape, u * 0.6, 0.42 + 0.55 * v, 1.3 * leaf)
    return crown._replace(body=crown.body & (v > 0), stem=np.zeros(u.shape, np.bool_))


def conifer(shape: Floats, u: Floats, v: Floats, leaf: Floats) -> Outline:
    """Tiers of branches, narrowing upwards."""
    tiers = v * (8 + 4 * shape[:, 0]) + shape[:, 1] + 0.9 * np.abs(u)
    saw = tiers - np.floor(tiers)
    slim = 0.17 + 0.10 * shape[:, 2]
    half = slim * (1.0 - v) * (1.16 - 0.36 * saw) + 0.008
    foliage = (np.abs(u) < half * (1 + 0.9 * leaf)) & (v > 0.09) & (v < 1)
    trunk = (np.abs(u) < 0.022) & (v <= 0.14) & ~foliage
    return Outline(
        foliage,
        trunk,
        nx=u / half * 0.85,
        ny=0.5 - 0.8 * saw + 1.5 * leaf,
        inner=0.8 - 0.8 * saw,
    )


def palm(shape: Floats, u: Floats, v: Floats, leaf: Floats) -> Outline:
    """A bent trunk and seven fronds."""
    bend = (shape[:, 0] - 0.5) * 0.5
    middle = bend * v * v
    trunk = (np.abs(u - middle) < 0.022 * (1.4 - 0.6 * v)) & (v < 0.78)
    x, y = u - bend * np.float32(0.62), v - np.float32(0.78)
    foliage = np.zeros(u.shape, bool)
    depth = np.zeros_like(u)
    for i in range(7):
        side = 1.0 if i % 2 else -1.0
        lift = 0.15 + 0.25 * (i // 2) + 0.25 * shape[:, 3 + i]
        length = 0.30 + 0.12 * shape[:, 12 + i] - 0.05 * (i // 2)
        t = x * side / length
        droop = y - lift * 0.55 * t * (1 - t) - (0.12 - 0.5 * t) * 0.5 * t * (1.1 - lift * 0.5)
        thick = 0.075 * t * (1.05 - t) * 3.2 * (1 + 2.2 * leaf) + 0.012
        frond = (np.abs(droop) < thick * 0.5) & (t > -0.02) & (t < 1)
        foliage |= frond
        depth = np.where(frond, (droop / (thick + 1e-3)) + 0.3, depth)
    return Outline(
        foliage,
        trunk & ~foliage,
        nx=x * 2,
        ny=depth + y * 2,
        inner=np.full_like(u, 0.5),
    )


def boulder(shape: Floats, u: Floats, v: Floats, leaf: Floats) -> Outline:
    """A stone with six facets."""
    inside = np.full(u.shape, 1.0, np.float32)
    nx, ny = np.zeros_like(u), np.zeros_like(u)
    for i in range(6):
        ax = (i - 2.5) / 2.5 + 0.5 * (shape[:, i] - 0.5)
        ay = 1.1 - np.abs(ax) * 0.7 + 0.2 * shape[:, i + 8]
        reach = 0.62 + 0.22 * shape[:, i + 16]
        margin = reach - u * ax - v * ay + 0.10 * leaf
        nearer = margin < inside
        inside = np.where(nearer, margin, inside)
        nx, ny = np.where(nearer, ax, nx), np.where(nearer, ay * 0.8, ny)
    face = (inside > 0) & (np.abs(u) < 0.93)
    facet = smoothstep(0.0, 0.5, inside)
    return Outline(
        body=face,
        stem=np.zeros(u.shape, np.bool_),
        nx=nx * (1 - 0.6 * facet),
        ny=ny,
        inner=inside,
    )


# By kind, in the order of `objects`' constants.
OUTLINES = (broadleaf, conifer, palm, cactus, bush, boulder)
