"""Houses and towers: convex solids with windows, drawn wall by wall."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.landscapes import noise
from pipelines.landscapes.composition import FIELD, Scene
from pipelines.landscapes.lighting import Light, linear
from pipelines.landscapes.noise import Floats, mix
from pipelines.landscapes.terrain import ground

# Direction cosines of five headings, exact quotients.
_HEADINGS = ((1.0, 0.0), (0.8, 0.6), (0.8, -0.6), (0.96, 0.28), (0.96, -0.28))


class Building(NamedTuple):
    """One building; lengths in world units."""

    x: float
    z: float
    base: float
    heading: tuple[float, float]
    length: float
    width: float
    walls: float
    roof: float
    look: int
    seed: float


class Face(NamedTuple):
    """A convex polygon in the world, `[K, 3]`, and what covers it."""

    corners: Floats
    is_roof: bool


def place(scene: Scene) -> tuple[Building, ...]:
    """Chooses where buildings stand, far ones first."""
    rng = noise.stream(scene.objects_seed, 1)
    wanted = scene.cover.houses + scene.cover.towers
    found: list[Building] = []
    downtown = FIELD * 0.5 * (2 * float(rng.random()) - 1)
    counts = [scene.cover.houses, scene.cover.towers]
    for _ in range(8 * wanted):
        r = [float(value) for value in noise.uniforms(rng, 9)]
        tower = int(r[8] * wanted) >= scene.cover.houses
        if not counts[tower]:
            continue
        z = 16 + 24 * r[0] if tower else 4.5 + 13 * r[0]
        x = (2 * r[1] - 1) * FIELD * 0.95 * z
        if tower:
            x = (downtown + 0.38 * (2 * r[1] - 1) * (0.4 + 0.6 * r[2])) * z
        if not tower and scene.road.width and r[2] < 0.8:
            middle = float(scene.road.middle(np.array([z], np.float32))[0])
            x = middle + (1 if r[3] < 0.5 else -1) * (scene.road.width + 0.9 + 2.5 * r[1])
        at_x, at_z = np.array([x], np.float32), np.array([z], np.float32)
        land = ground(scene, at_x, at_z)
        clear = 2.0 if tower else 1.1
        if float(land.shore[0]) < clear or float(land.massif[0]) > 1.5:
            continue
        if scene.road.width:
            middle = float(scene.road.middle(at_z)[0])
            if abs(x - middle) < scene.road.width + 0.75:
                continue
        if any(abs(b.x - x) < 1.5 and abs(b.z - z) < 1.9 for b in found):
            continue
        counts[tower] -= 1
        found.append(
            Building(
                x=x,
                z=z,
                base=float(land.height[0]) - 0.05,
                heading=_HEADINGS[int(5 * r[4])],
                length=0.8 + 0.9 * r[5] + 0.5 * tower,
                width=0.6 + 0.4 * r[6] + 0.5 * tower,
                walls=2.5 + 6.5 * r[7] * r[7] if tower else 0.38 + 0.25 * r[7],
                roof=0.0 if tower else 0.25 + 0.3 * r[2],
                look=int(8 * r[6]),
                seed=r[3],
            )
        )
    return tuple(sorted(found, key=lambda building: -building.z))


def _faces(b: Building) -> list[Face]:
    c, s = b.heading

    def corner(along: float, across: float, up: float) -> list[float]:
        a, w = along * b.length / 2, across * b.width / 2
        return [b.x + a * c - w * s, b.base + up, b.z + a * s + w * c]

    def face(is_roof: bool, *points: tuple[float, float, float]) -> Face:
        return Face(np.array([corner(*p) for p in points], np.float64), is_roof)

    h, top = b.walls, b.walls + b.roof
    # The roof goes on past the walls, at its own pitch.
    eave, over = b.walls - 0.2 * b.roof, 1.08
    faces = [
        face(False, (-1, -1, 0), (1, -1, 0), (1, -1, h), (-1, -1, h)),
        face(False, (1, 1, 0), (-1, 1, 0), (-1, 1, h), (1, 1, h)),
    ]
    if b.roof:
        faces += [
            face(False, (1, -1, 0), (1, 1, 0), (1, 1, h), (1, 0, top), (1, -1, h)),
            face(False, (-1, 1, 0), (-1, -1, 0), (-1, -1, h), (-1, 0, top), (-1, 1, h)),
            face(True, (-over, -1.2, eave), (over, -1.2, eave), (over, 0, top), (-over, 0, top)),
            face(True, (over, 1.2, eave), (-over, 1.2, eave), (-over, 0, top), (over, 0, top)),
        ]
    else:
        faces += [
            face(False, (1, -1, 0), (1, 1, 0), (1, 1, h), (1, -1, h)),
            face(False, (-1, 1, 0), (-1, -1, 0), (-1, -1, h), (-1, 1, h)),
            face(True, (-1, -1, h), (1, -1, h), (1, 1, h), (-1, 1, h)),
        ]
    return faces


def _cover(
    light: Light, b: Building, face: Face, along: Floats, up: Floats, grain: Floats
) -> tuple[Floats, Floats]:
    """Returns albedo and own light of points of a face, `[3, N]` each."""
    glow = np.zeros((3, along.size), np.float32)
    if face.is_roof:
        rows = noise.wave(up * 9) * 0.08
        colour = light.roofs[b.look] if b.roof else linear(120, 120, 122)
        return colour[:, None] * (0.95 + rows + 0.3 * grain)[None], glow
    wall = light.walls[b.look] if b.roof else mix(light.walls[b.look], linear(150, 160, 172), 0.6)
    pitch, storey = (0.34, 0.36) if b.roof else (0.26, 0.34)
    i, j = np.floor(along / pitch), np.floor(up / storey)
    fx, fy = along / pitch - i, up / storey - j
    if b.roof:
        off_x, off_y = np.abs(fx - 0.5), np.abs(fy - 0.55)
        low = up < b.walls * 0.96
        window = (off_x < 0.22) & (off_y < 0.24) & low
        frame = (off_x < 0.29) & (off_y < 0.31) & low & ~window
        door = (i == 1) & (j == 0) & (off_x < 0.24) & (up < storey * 0.72)
        window, frame = window & ~door, frame & ~door
    else:
        window = (np.abs(fx - 0.5) < 0.36) & (np.abs(fy - 0.5) < 0.30) & (up < b.walls * 0.97)
        frame = door = np.zeros_like(window)
    on = noise.pick(noise.white(), i * 7 + b.seed * 500, j * 13 + b.look * 31)
    glass = linear(70, 90, 112)[:, None] * (1 + 0.5 * on)[None]
    boards = 1 + (0.05 * noise.wave(up * 16) if b.roof else 0)
    albedo = np.where(window, glass, wall[:, None] * ((0.95 + 0.25 * grain) * boards)[None])
    albedo = np.where(frame, linear(232, 228, 220)[:, None], albedo)
    albedo = np.where(door, linear(96, 66, 50)[:, None], albedo)
    lamp = linear(255, 206, 128) * np.float32(1.1 * light.lamps)
    glow += lamp[:, None] * (window & (on > 1.0 - 1.3 * light.lamps))[None]
    return albedo.astype(np.float32), glow


def _inside(
    column: Floats, row: Floats, left: int, right: int, top: int, bottom: int
) -> NDArray[np.bool_]:
    """Returns which pixels of a box lie within a convex polygon."""
    c = (np.arange(left, right, dtype=np.float32) + 0.5)[None, :]
    r = (np.arange(top, bottom, dtype=np.float32) + 0.5)[:, None]
    inside = np.ones((bottom - top, right - left), bool)
    turn = 0.0
    for k in range(len(column)):
        n = (k + 1) % len(column)
        turn += column[k] * row[n] - column[n] * row[k]
    sign = np.float32(1 if turn > 0 else -1)
    for k in range(len(column)):
        n = (k + 1) % len(column)
        dx, dy = np.float32(column[n] - column[k]), np.float32(row[n] - row[k])
        inside &= sign * (dx * (r - np.float32(row[k])) - dy * (c - np.float32(column[k]))) >= 0
    return inside


def _normal(corners: np.ndarray) -> np.ndarray:
    """Returns the unit vector that points out of a face."""
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[1])
    # Corners run counter-clockwise seen from outside; with z pointing away the cross product of
    # such a turn points inwards.
    return -normal / np.sqrt((normal * normal).sum())


def draw(
    scene: Scene,
    light: Light,
    sun: Floats,
    building: Building,
    camera: float,
    depth: Floats,
) -> tuple[np.ndarray, Floats, Floats]:
    """Draws one building.

    Args:
        scene: the scene.
        light: the light.
        sun: unit vector towards the light.
        building: which one.
        camera: height of the camera.
        depth: distance of what is already in the picture, `[H, W]`.

    Returns:
        Flat positions of its visible pixels, `[N]`, their distance and linear colour, `[3, N]`.
    """
    height, width = depth.shape
    positions, distances, colours = [], [], []
    for face in _faces(building):
        p = face.corners
        normal = _normal(p)
        eye = np.array([0, camera, 0])
        offset = float(((p[0] - eye) * normal).sum())
        if offset >= 0:
            continue
        column = p[:, 0] / p[:, 2] / FIELD * height + width / 2
        row = (scene.horizon - (p[:, 1] - camera) / p[:, 2] / FIELD) * height
        left, right = max(int(column.min()), 0), min(int(column.max()) + 2, width)
        top, bottom = max(int(row.min()), 0), min(int(row.max()) + 2, height)
        if left >= right or top >= bottom:
            continue
        inside = _inside(column, row, left, right, top, bottom)
        rr, cc = np.nonzero(inside)
        s = (
            ((cc + left).astype(np.float32) + np.float32(0.5) - np.float32(width / 2))
            / height
            * np.float32(FIELD)
        )
        e = (
            np.float32(scene.horizon) - ((rr + top).astype(np.float32) + np.float32(0.5)) / height
        ) * np.float32(FIELD)
        slant = s * np.float32(normal[0]) + e * np.float32(normal[1]) + np.float32(normal[2])
        z = np.float32(offset) / np.minimum(slant, np.float32(-1e-6))
        at = (rr + top) * width + cc + left
        seen = depth.ravel()[at] > z * np.float32(0.99)
        at, z, s, e = at[seen], z[seen], s[seen], e[seen]
        edge = (p[1] - p[0]) / np.sqrt(((p[1] - p[0]) ** 2).sum())
        x, up = s * z, np.float32(camera) + e * z - np.float32(building.base)
        along = (x - np.float32(p[0, 0])) * np.float32(edge[0])
        along += (z - np.float32(p[0, 2])) * np.float32(edge[2])
        grain = noise.sample(noise.fractal(), along * 0.3 + building.seed, up * 0.3)
        albedo, glow = _cover(light, building, face, along, up, grain)
        facing = float((normal * sun.astype(np.float64)).sum())
        lit = light.direct * np.float32(max(0.22 + 0.8 * facing, 0.0)) + light.ambient * np.float32(
            0.55 + 0.25 * float(normal[1])
        )
        positions.append(at)
        distances.append(z)
        colours.append(albedo * lit[:, None] + glow)
    if not positions:
        return np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros((3, 0), np.float32)
    return (
        np.concatenate(positions),
        np.concatenate(distances),
        np.concatenate(colours, axis=1),
    )
