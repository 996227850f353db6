"""Arithmetic and noise that give the same bits on every machine.

Only operations which IEEE 754 rounds exactly (+, −, ×, ÷, √, floor, comparisons) are used, one
ufunc at a time. `np.exp`, `np.sin`, `np.power`, matrix products and FFTs depend on the vector
unit or the BLAS in use, and one last bit is enough to flip a label at a threshold.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Computed in float32; NumPy's annotations lose that as soon as a Python number takes part.
Floats = NDArray[np.floating[Any]]
# What the arithmetic below takes: an array or one number.
Real = Any

TILE = 512
_MASK = TILE - 1
_SHIFT = 9
# Unit vectors with exactly representable quotients: (±1, 0), (±3/5, ±4/5) and their swaps.
_GRADIENTS = np.array(
    [[1, 0], [-1, 0], [0, 1], [0, -1]]
    + [[a * i, b * j] for a, b in ((0.6, 0.8), (0.8, 0.6)) for i in (1, -1) for j in (1, -1)],
    np.float32,
)


class Tile(NamedTuple):
    """A square of numbers that repeats in both directions.

    Attributes:
        values: float32 `[TILE * TILE]`, row by row.
        corners: four float32 for each entry, as one item of 16 bytes, so that one look-up finds
            what lies around a position: the entry, the step to the one right of it, the entry
            below, and the step to the one right of that.
    """

    values: Floats
    corners: NDArray[np.complex128]


def _tile(values: Floats) -> Tile:
    """Makes a tile of numbers `[TILE, TILE]`."""
    values = values.astype(np.float32)
    step = np.roll(values, -1, 1) - values
    four = np.stack([values, step, np.roll(values, -1, 0), np.roll(step, -1, 0)], -1)
    return Tile(values.ravel(), four.view(np.complex128).ravel())


def stream(*key: int) -> np.random.Generator:
    """Returns the random stream of a key: `Generator.random` of it is the same everywhere."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def uniforms(rng: np.random.Generator, shape: int | tuple[int, ...]) -> Floats:
    """Returns float32 numbers, uniform in [0, 1)."""
    return rng.random(shape).astype(np.float32)


def exp(x: Real) -> Real:
    """Returns `(1 + x/256)^256`, within 1 % of e^x for −2 ≤ x ≤ 1 and 0 far below."""
    y = np.maximum(x * np.float32(1 / 256) + np.float32(1), np.float32(0))
    for _ in range(8):
        y = y * y
    return y


def wave(t: Real) -> Real:
    """Returns a sine of period 1 made of two parabolas."""
    f = t - np.floor(t) - np.float32(0.5)
    return f * (np.abs(f) * np.float32(2) - np.float32(1)) * np.float32(8)


def smoothstep(low: Real, high: Real, x: Real) -> Real:
    """Returns the cubic that rises from 0 at `low` to 1 at `high` (falls, if low > high)."""
    t = np.minimum(np.maximum((x - low) / (high - low), np.float32(0)), np.float32(1))
    return t * t * (np.float32(3) - t - t)


def mix(a: Real, b: Real, t: Real) -> Real:
    """Returns `a + (b − a)·t`."""
    return a + (b - a) * t


def saturate(x: Real) -> Real:
    """Returns x clipped to [0, 1]."""
    return np.minimum(np.maximum(x, np.float32(0)), np.float32(1))


def _gradient_noise(rng: np.random.Generator, cells: int) -> Floats:
    """Returns one periodic octave of gradient noise, `[TILE, TILE]`, within about ±0.7."""
    choice = np.floor(rng.random((cells, cells)) * len(_GRADIENTS)).astype(np.int64)
    gradients = _GRADIENTS[choice]
    position = (np.arange(TILE, dtype=np.float32) + np.float32(0.5)) * np.float32(cells / TILE)
    low = np.floor(position).astype(np.int64)
    fraction = position - low.astype(np.float32)
    high = (low + 1) % cells
    fade = fraction * fraction * fraction * (fraction * (fraction * 6 - 15) + 10)
    fx, fy = fraction[None, :], fraction[:, None]

    def corner(rows: NDArray[np.int64], columns: NDArray[np.int64], dx: Real, dy: Real) -> Floats:
        g = gradients[rows][:, columns]
        return g[..., 0] * dx + g[..., 1] * dy

    top = mix(corner(low, low, fx, fy), corner(low, high, fx - 1, fy), fade[None, :])
    bottom = mix(corner(high, low, fx, fy - 1), corner(high, high, fx - 1, fy - 1), fade[None, :])
    return mix(top, bottom, fade[:, None]).astype(np.float32)


@functools.cache
def _octaves() -> tuple[Floats, ...]:
    rng = stream(20190318)
    return tuple(_gradient_noise(rng, 4 << i) for i in range(7))


@functools.cache
def fractal() -> Tile:
    """Returns the tile of 1/f noise: seven octaves from 4 cells a side on, in [−1, 1]."""
    total = np.zeros((TILE, TILE), np.float32)
    for i, octave in enumerate(_octaves()):
        total += octave * np.float32(0.5**i)
    return _tile(total / np.abs(total).max())


@functools.cache
def rolling() -> Tile:
    """Returns the tile of the fractal's three largest octaves, in [−1, 1]."""
    total = np.zeros((TILE, TILE), np.float32)
    for i, octave in enumerate(_octaves()[:3]):
        total += octave * np.float32(0.4**i)
    return _tile(total / np.abs(total).max())


@functools.cache
def ridged() -> Tile:
    """Returns the tile of ridged noise: crests where an octave crosses zero, in [0, 1]."""
    total = np.zeros((TILE, TILE), np.float32)
    weight = np.ones((TILE, TILE), np.float32)
    for i, octave in enumerate(_octaves()):
        # Rounded where |n| would come to an edge: real crests are worn.
        worn = octave * octave / (np.abs(octave) + np.float32(0.06))
        crest = np.maximum(np.float32(1) - worn * np.float32(2.1), np.float32(0))
        crest = crest * crest * weight
        total += crest * np.float32(0.40**i)
        # Valleys stay smooth: an octave is added in proportion to the crest it sits on.
        weight = saturate(crest * np.float32(1.6))
    low, high = total.min(), total.max()
    return _tile((total - low) / (high - low))


@functools.cache
def billow() -> Tile:
    """Returns the tile of billowed noise: round tops and sharp creases, in [0, 1]."""
    total = np.zeros((TILE, TILE), np.float32)
    for i, octave in enumerate(_octaves()[:6]):
        total += np.abs(octave) * np.float32(0.55**i)
    return _tile(total / total.max())


@functools.cache
def white() -> Tile:
    """Returns the tile of independent uniform numbers in [−1, 1]."""
    return _tile(uniforms(stream(7), (TILE, TILE)) * np.float32(2) - np.float32(1))


def sample(tile: Tile, u: Floats, v: Floats) -> Floats:
    """Looks a tile up bilinearly, wrapping round.

    Args:
        tile: one of the tiles above.
        u: horizontal position, in tiles.
        v: vertical position, in tiles, of a shape that broadcasts with u.

    Returns:
        float32 values of the shape of both.
    """
    u, v = u * np.float32(TILE), v * np.float32(TILE)
    column, row = np.floor(u), np.floor(v)
    fu, fv = u - column, v - row
    at = ((row.astype(np.int64) & _MASK) << _SHIFT) + (column.astype(np.int64) & _MASK)
    four = tile.corners.take(at).view(np.float32).reshape(*at.shape, 4)
    top = four[..., 1] * fu
    top += four[..., 0]
    bottom = four[..., 3] * fu
    bottom += four[..., 2]
    bottom -= top
    bottom *= fv
    top += bottom
    return top


def pick(tile: Tile, u: Floats, v: Floats) -> Floats:
    """Looks a tile up at the nearest entry; positions are in entries, not tiles."""
    c = np.floor(u).astype(np.int64) & _MASK
    r = np.floor(v).astype(np.int64) & _MASK
    return tile.values.take((r << _SHIFT) + c)


def detail(tile: Tile, u: Floats, v: Floats, distance: Floats, density: float) -> Floats:
    """Looks a tile up at a scale that follows the distance, so that grain keeps its screen size.

    Two scales, one octave apart, are blended by where the distance lies between powers of two.

    Args:
        tile: one of the tiles above.
        u: world position, any shape.
        v: the other world coordinate.
        distance: how far away, > 0.
        density: tiles per unit of length at distance 1.

    Returns:
        float32 values of the same shape.
    """
    mantissa, exponent = np.frexp(distance)
    scale = np.ldexp(np.float32(density), -exponent)
    fine = sample(tile, u * scale, v * scale)
    scale = scale * np.float32(0.5)
    coarse = sample(tile, u * scale, v * scale)
    return mix(fine, coarse, mantissa * np.float32(2) - np.float32(1))


def carpet(
    tile: Tile, x: Floats, z: Floats, eye: float, density: float, lift: float = 0.0
) -> Floats:
    """Looks a tile up on level ground, so that its grain is as tall as wide in the picture.

    Seen from height `eye`, a step dz on the ground is `eye/z` times as tall as a step dx is wide;
    a texture that is to look isotropic therefore runs with `eye·ln z`. As in `detail`, two scales
    are blended by where z lies between powers of two.

    Args:
        tile: one of the tiles above.
        x: to the right, world units.
        z: away from the camera, > 0.
        eye: height of the camera above the ground.
        density: tiles per picture height, about.
        lift: shift of the texture up the picture, in picture heights.

    Returns:
        float32 values of the same shape.
    """
    mantissa, exponent = np.frexp(z)
    # ln m on [1/2, 1) to 0.3 %, with exact ends, so that octaves join.
    logarithm = np.float32(1.03972077) * 2 * (mantissa - 1) / (mantissa + 1)
    logarithm += exponent.astype(np.float32) * np.float32(0.69314718)
    depth = logarithm * np.float32(eye)
    scale = np.ldexp(np.float32(density), -exponent)
    # A picture height at distance z is z world units, which `lift` is measured in.
    fine = sample(tile, x * scale, depth * scale + np.float32(lift * density))
    scale = scale * np.float32(0.5)
    coarse = sample(tile, x * scale, depth * scale + np.float32(lift * density / 2))
    return mix(fine, coarse, mantissa * np.float32(2) - np.float32(1))
