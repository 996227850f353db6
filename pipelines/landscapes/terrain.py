"""The heightfield and which point of it each pixel sees."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.landscapes import noise
from pipelines.landscapes.composition import FIELD, Scene
from pipelines.landscapes.noise import Floats, mix, saturate, smoothstep
from pipelines.landscapes.shores import NOWHERE

FARTHEST = 420.0
_STEPS = 513


class Ground(NamedTuple):
    """The land at given points; every field has their shape."""

    height: Floats
    shore: Floats
    massif: Floats


class Surface(NamedTuple):
    """What the terrain pixels see, one entry for each of `pixels` (flat picture positions)."""

    pixels: NDArray[np.int64]
    x: Floats
    z: Floats
    height: Floats
    slope_x: Floats
    slope_z: Floats
    shore: Floats
    massif: Floats


def ground(scene: Scene, x: Floats, z: Floats) -> Ground:
    """Computes the land at world points.

    Args:
        scene: the scene.
        x: to the right, world units.
        z: away from the camera, world units, of a shape that broadcasts with x.

    Returns:
        Height (0 is the water's surface, negative its bed), distance inland and the part of the
        height that is mountain.
    """
    t, o = scene.terrain, scene.terrain.offsets
    fractal, ridged = noise.fractal(), noise.ridged()
    far = smoothstep(1.5, 40.0, z)
    swell = noise.sample(fractal, x / t.hill_size + o[0], z / t.hill_size + o[1])
    height = t.base + t.hills * (0.12 + far) * (swell + 0.3)
    # Roughness underfoot, small enough not to hide what is behind it.
    height = height + 0.05 * noise.sample(fractal, x / 6 + o[2], z / 6 + o[3])
    if t.dunes:
        warp = noise.sample(noise.rolling(), x / 150 + o[4], z / 150 + o[5])
        phase = (0.8 * z + t.mountain_lean * x) / 30 + 2.2 * warp + o[6]
        phase = phase - np.floor(phase)
        # Long on the windward side, steep and smooth below the crest.
        crest = np.minimum(phase / 0.7, (1 - phase) / 0.3)
        crest = crest * crest * (1.6 - 0.6 * crest)
        far = far * (1 - smoothstep(t.mountain_start * 0.8, t.mountain_start * 1.5, z))
        height = height + t.dunes * (0.15 + 1.9 * far) * crest * np.maximum(0.8 + 1.1 * warp, 0)
    # One near range and lower land behind it, so that the skyline is not the highest of many.
    rise = smoothstep(t.mountain_start * 0.8, t.mountain_start * 2.0, z)
    rise = rise * (1 - 0.45 * smoothstep(t.mountain_start * 2.2, t.mountain_start * 3.4, z))
    u, v = x / t.mountain_size + o[4], z / t.mountain_size + o[5]
    broad = noise.sample(noise.rolling(), u * 0.31 + o[6], v * 0.31)
    if t.mesas:
        level = broad + 0.3 * noise.sample(noise.rolling(), u * 0.9, v * 0.9 + o[2])
        peaks = 0.85 * smoothstep(0.02, 0.09, level) + 0.45 * smoothstep(0.20, 0.25, level)
        peaks = peaks + 0.25 * saturate(level + 0.4)
    else:
        peaks = noise.sample(ridged, u * 0.62, v * 0.62)
        # Broad shoulders rather than needles.
        peaks = peaks * (1.5 - 0.65 * peaks) * (0.35 + smoothstep(-0.4, 0.45, broad))
    crags = noise.sample(fractal, u * 3, v * 3)
    lean = 0.75 + 0.5 * saturate(0.5 + t.mountain_lean * x / (z + 1))
    massif = t.mountains * rise * lean * (peaks + 0.07 * crags * (0.2 + peaks))
    height = np.maximum(height, 0.04) + np.maximum(massif, 0)

    if scene.road.width:
        middle = scene.road.middle(z)
        shoulder = smoothstep(scene.road.width * 4.5, scene.road.width * 1.1, np.abs(x - middle))
        flat = t.base + t.hills * (0.12 + far) * (
            noise.sample(fractal, middle / t.hill_size + o[0], z / t.hill_size + o[1]) + 0.3
        )
        height = mix(height, np.maximum(flat, 0.04), shoulder * (z < scene.road.end))

    shore = scene.shore.distance(x, z)
    bank = np.minimum(np.maximum(shore, 0) * 0.16, 0.3)
    # The step between samples grows with distance, and so must what they are to resolve.
    inland = smoothstep(0.0, 5.0 + 0.05 * z, shore)
    height = np.where(shore < 0, np.maximum(shore * 0.2, -2.0), bank + height * inland)
    return Ground(height.astype(np.float32), shore, massif)


def camera_height(scene: Scene) -> float:
    """Returns the height of the camera: `eye` above the land at its feet."""
    at = np.array([1.0], np.float32)
    return float(max(ground(scene, at * 0, at).height[0], 0.0)) + scene.eye


def _gather(grid: Floats, below: NDArray[np.int64], width: int, t: Floats) -> Floats:
    flat = grid.ravel()
    near = flat.take(below)
    return near + (flat.take(below + width) - near) * t


def _slopes(level: Floats, columns: Floats, z: Floats, height: int) -> tuple[Floats, Floats]:
    """Returns the slopes of the ground to the right and away from the camera."""
    dz = np.maximum(z[2:] - z[:-2], np.float32(1e-6))
    # Pixels narrower than a step see single facets; slopes over ± 2 columns hide them.
    reach = max(1, height // 128)
    across = np.empty_like(level)
    step = columns[2 * reach] - columns[0]
    across[:, reach:-reach] = (level[:, 2 * reach :] - level[:, : -2 * reach]) / (step * z)
    across[:, :reach] = across[:, reach : reach + 1]
    across[:, -reach:] = across[:, -reach - 1 : -reach]
    along = np.empty_like(level)
    along[1:-1] = (level[2:] - level[:-2]) / dz
    along[0], along[-1] = along[1], along[-2]
    along -= columns[None, :] * across
    return across, along


def surface(scene: Scene, camera: float, height: int, width: int) -> Surface:
    """Finds the terrain point each pixel sees.

    Along each column, terrain is sampled at geometrically growing distances. A pixel sees the
    first sample whose elevation reaches its own; since the running maximum of elevation never
    falls, that is a count, found for all pixels by one histogram and one cumulative sum.

    Args:
        scene: the scene.
        camera: height of the camera.
        height: rows.
        width: columns.

    Returns:
        The surface, of the pixels that see no sky.
    """
    columns = (np.arange(width, dtype=np.float32) + np.float32(0.5) - width / 2) / height * FIELD
    rows = (
        scene.horizon - (np.arange(height, dtype=np.float32) + np.float32(0.5)) / height
    ) * FIELD
    nearest = 0.45 * scene.eye / ((1 - scene.horizon) * FIELD)
    # The 512th root as nine square roots, which are exact on every machine.
    growth = FARTHEST / nearest
    for _ in range(9):
        growth = math.sqrt(growth)
    distances = [nearest]
    for _ in range(_STEPS - 1):
        distances.append(distances[-1] * growth)
    z = np.array(distances, np.float32)[:, None]
    x = columns[None, :] * z
    land = ground(scene, x, z)
    level = np.maximum(land.height, 0)
    elevation = (level - np.float32(camera)) / z

    highest = np.maximum.accumulate(elevation, axis=0)
    first_row = np.ceil((scene.horizon - highest / FIELD) * height - np.float32(0.5))
    first_row = np.minimum(np.maximum(first_row, 0), height).astype(np.int64)
    first_row *= width
    first_row += np.arange(width)
    reached = np.bincount(first_row.ravel(), minlength=(height + 1) * width)
    reached = reached.reshape(height + 1, width)[:height].cumsum(axis=0)
    hit = _STEPS - reached.ravel()
    pixels = np.flatnonzero(hit < _STEPS)
    hit = hit[pixels]
    row, column = pixels // width, pixels % width

    near = np.maximum(hit - 1, 0)
    below = near * width + column
    sought = rows[row]
    flat = elevation.ravel()
    e0, e1 = flat.take(below), flat.take(below + width)
    t = saturate((sought - e0) / np.maximum(e1 - e0, np.float32(1e-9)))
    # Elevation on level ground is linear in 1/z.
    inverse = np.float32(1) / z[:, 0]
    depth = np.float32(1) / mix(inverse[near], inverse[near + 1], t)

    across, along = _slopes(level, columns, z, height)
    return Surface(
        pixels=pixels,
        x=columns[column] * depth,
        z=depth,
        height=np.maximum(np.float32(camera) + sought * depth, 0),
        slope_x=_gather(across, below, width, t),
        slope_z=_gather(along, below, width, t),
        shore=_gather(np.minimum(land.shore, np.float32(NOWHERE)), below, width, t),
        massif=_gather(land.massif, below, width, t),
    )
