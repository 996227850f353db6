"""What is where: the random choice of a scene, before any light falls on it.

Lengths are in units of about ten metres; x goes right, h up, z away from the camera.
A point is seen at `u = x / (z·FIELD)` from the middle and `v = horizon − (h − camera) / (z·FIELD)`
from the top, both in picture heights.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipelines.landscapes import noise
from pipelines.landscapes.noise import Floats

# Vertical extent of the picture at distance 1: a field of view of 48°.
FIELD = 0.9
NOWHERE = 1e4

Draw = Callable[[float, float], float]


class NoShore(NamedTuple):
    """Land everywhere."""

    def distance(self, x: Floats, z: Floats) -> Floats:
        """Returns how far inland a point is; negative in water."""
        return np.full(np.broadcast_shapes(x.shape, z.shape), NOWHERE, np.float32)


class SideShore(NamedTuple):
    """The sea on one side, from the camera to the horizon."""

    side: float
    start: float
    lean: float
    roughness: float
    offset: float

    def distance(self, x: Floats, z: Floats) -> Floats:
        """Returns how far inland a point is; negative in water."""
        bays = noise.sample(noise.fractal(), z * 0.006 + self.offset, x * 0.004)
        return x * self.side - self.start + self.lean * z + self.roughness * bays * (z + 3)


class FrontShore(NamedTuple):
    """A beach at the feet of the camera, the sea beyond it, islands far out."""

    edge: float
    lean: float
    roughness: float
    islands: float
    offset: float

    def distance(self, x: Floats, z: Floats) -> Floats:
        """Returns how far inland a point is; negative in water."""
        bays = noise.sample(noise.fractal(), x * 0.01 + self.offset, z * 0.002)
        beach = self.edge + self.lean * x + self.roughness * bays * 6 - z
        shoals = noise.sample(noise.fractal(), x * 0.004 + self.offset, z * 0.004 + 0.37)
        island = (shoals - self.islands) * 60 - (z < 18) * NOWHERE
        return np.maximum(beach, island)


class Lake(NamedTuple):
    """A lake with a ragged oval shore."""

    x: float
    z: float
    width: float
    depth: float
    roughness: float
    offset: float

    def distance(self, x: Floats, z: Floats) -> Floats:
        """Returns how far inland a point is; negative in water."""
        a, b = (x - self.x) / self.width, (z - self.z) / self.depth
        ragged = noise.sample(noise.fractal(), x * 0.012 + self.offset, z * 0.012)
        return (np.sqrt(a * a + b * b) - 1 + self.roughness * ragged) * (0.6 * self.depth)


class River(NamedTuple):
    """A river winding away from the camera."""

    x: float
    lean: float
    winding: float
    length: float
    width: float
    phase: float
    end: float

    def distance(self, x: Floats, z: Floats) -> Floats:
        """Returns how far inland a point is; negative in water."""
        bend = noise.wave(z / self.length + self.phase) * self.winding * noise.smoothstep(0, 8, z)
        middle = self.x + self.lean * z + bend
        ragged = noise.sample(noise.fractal(), x * 0.02, z * 0.02 + self.phase)
        banks = np.abs(x - middle) - self.width * (1 + 0.5 * ragged)
        return np.maximum(banks, 0.15 * (z - self.end))


Shore = NoShore | SideShore | FrontShore | Lake | River


class Road(NamedTuple):
    """A road winding away from the camera; of zero width where there is none."""

    x: float
    lean: float
    winding: float
    length: float
    phase: float
    width: float
    end: float

    def middle(self, z: Floats) -> Floats:
        """Returns the x of the road's middle at a distance."""
        bend = noise.wave(z / self.length + self.phase) * noise.smoothstep(0, 10, z)
        return self.x + self.lean * z + bend * self.winding


class Terrain(NamedTuple):
    """The shape of the land."""

    base: float
    hills: float
    hill_size: float
    dunes: float
    mountains: float
    mountain_start: float
    mountain_size: float
    mountain_lean: float
    mesas: float
    offsets: tuple[float, ...]


class Cover(NamedTuple):
    """What grows, lies and falls on the land; heights and widths in world units."""

    beach: float
    sandiness: float
    snow_line: float
    rockiness: float
    trees: int
    grove: float
    conifers: float
    palms: float
    cacti: float
    tree_height: float
    boulders: int
    bushes: int
    houses: int
    towers: int


class Cloud(NamedTuple):
    """One cloud: middle, half width and height in picture heights, and its kind of edge."""

    u: float
    v: float
    width: float
    height: float
    wispy: float
    offset_u: float
    offset_v: float


class Scene(NamedTuple):
    """All that fixes the label map of a picture."""

    kind: str
    horizon: float
    eye: float
    sun_u: float
    sun_v: float
    sun_radius: float
    sun_seen: bool
    terrain: Terrain
    shore: Shore
    road: Road
    cover: Cover
    clouds: tuple[Cloud, ...]
    objects_seed: int


NO_ROAD = Road(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
KINDS = (
    "coast",
    "bay",
    "lake",
    "mountains",
    "plains",
    "desert",
    "forest",
    "river",
    "winter",
    "town",
)


def _clouds(draw: Draw, horizon: float) -> tuple[Cloud, ...]:
    cloudiness = max(0.0, draw(-0.18, 1.0))
    count = int(18 * cloudiness * cloudiness + 5 * cloudiness + 0.8)
    wispy_sky = draw(0, 1) < 0.2
    clouds = []
    for _ in range(count):
        # The lower in the sky, the farther away, and so the smaller and flatter.
        rise = draw(0.06, 0.95) * horizon
        near = rise / 0.5
        width = draw(0.13, 0.36) * (0.35 + 0.8 * near)
        wispy = 1.0 if wispy_sky or draw(0, 1) < 0.08 else 0.0
        height = width * (draw(0.10, 0.2) if wispy else draw(0.30, 0.52) * (0.6 + 0.55 * near))
        clouds.append(
            Cloud(
                u=draw(-1.15, 1.15),
                v=horizon - rise,
                width=width * (1.7 if wispy else 1.0),
                height=height,
                wispy=wispy,
                offset_u=draw(0, 1),
                offset_v=draw(0, 1),
            )
        )
    return tuple(sorted(clouds, key=lambda cloud: -cloud.v))


def _terrain(draw: Draw, offsets: tuple[float, ...]) -> Terrain:
    start = draw(28, 80)
    return Terrain(
        base=0.15,
        hills=draw(0.3, 1.6),
        hill_size=draw(25, 60),
        dunes=0.0,
        mountains=start * draw(0.0, 0.5),
        mountain_start=start,
        mountain_size=start * draw(1.8, 3.2),
        mountain_lean=draw(-1.0, 1.0),
        mesas=0.0,
        offsets=offsets,
    )


def _road(draw: Draw, width: float) -> Road:
    lean = draw(-0.12, 0.12)
    return Road(
        x=draw(-0.5, 0.5),
        lean=lean,
        winding=draw(0.3, 2.2),
        length=draw(18, 45),
        phase=draw(0, 1),
        width=width,
        end=draw(60, 160),
    )


def scene(seed: int, index: int) -> Scene:
    """Draws the scene of one picture.

    Args:
        seed: of the data set, ≥ 0.
        index: of the picture, ≥ 0.

    Returns:
        The scene, the same for every picture size and time of day.
    """
    rng = noise.stream(seed, index, 0)

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(rng.random())

    kind = KINDS[int(draw(0, len(KINDS)))]
    horizon = draw(0.40, 0.70)
    eye = 0.22 + 1.3 * draw(0, 1) * draw(0, 1)
    if draw(0, 1) < 0.2:
        eye += draw(1.0, 4.0)
    offsets = tuple(draw(0, 1) for _ in range(8))
    terrain = _terrain(draw, offsets)
    bushes = int(draw(6, 40))
    cover = Cover(
        beach=draw(0.1, 0.8),
        sandiness=-1.0,
        snow_line=terrain.mountain_start * draw(0.1, 0.5),
        rockiness=draw(-0.35, 0.15),
        trees=int(draw(20, 120)),
        grove=draw(-0.15, 0.2),
        conifers=draw(0, 1),
        palms=0.0,
        cacti=0.0,
        tree_height=draw(0.8, 1.5),
        boulders=int(draw(0, 14)),
        bushes=bushes,
        houses=0,
        towers=0,
    )
    side = 1.0 if draw(0, 1) < 0.5 else -1.0
    a, b, c, d = (draw(0, 1) for _ in range(4))
    shore: Shore = NoShore()
    road = NO_ROAD
    wide_road = draw(0.17, 0.32)
    planned_road = _road(draw, wide_road)
    if kind == "coast":
        shore = SideShore(side, -0.6 + 1.6 * a, 0.12 + 0.2 * b, 0.1 + 0.22 * c, d)
        cover = cover._replace(
            beach=0.3 + 1.6 * a,
            palms=0.75 if b < 0.4 else 0.0,
            bushes=bushes // 2,
            rockiness=cover.rockiness + 0.1,
            houses=int(4 * d * d),
        )
        terrain = terrain._replace(
            hills=1.0 + 1.5 * c, mountains=terrain.mountain_start * (0.05 + 0.3 * d)
        )
    elif kind == "bay":
        shore = FrontShore(2.2 + 4.5 * a, 0.5 * side * b, 0.3 + 0.5 * c, 0.12 + 0.5 * d, a)
        cover = cover._replace(
            beach=6.0 + 9 * b,
            palms=0.85 if c < 0.6 else 0.0,
            trees=int(4 + 30 * d),
            bushes=bushes // 4,
            boulders=int(4 + 16 * a),
        )
        terrain = terrain._replace(
            hills=0.5, mountains=terrain.mountain_start * 0.3 * (0.3 + d), mountain_start=22.0
        )
    elif kind == "lake":
        shore = Lake(side * 5 * a, 14 + 10 * b, 9 + 14 * c, 9 + 7 * b, 0.15 + 0.45 * d, a)
        terrain = terrain._replace(mountains=terrain.mountain_start * (0.25 + 0.6 * d))
        terrain = terrain._replace(hills=0.3 + 0.5 * b)
        eye = max(eye, 0.5)
        cover = cover._replace(trees=int(60 + 120 * c), houses=int(2.5 * a * a))
    elif kind == "mountains":
        terrain = terrain._replace(
            mountains=terrain.mountain_start * (0.45 + 0.45 * a), hills=0.6 + 1.5 * b
        )
        cover = cover._replace(
            snow_line=terrain.mountain_start * (0.1 + 0.32 * c), trees=int(20 + 90 * d)
        )
        if d < 0.35:
            road = planned_road
    elif kind == "plains":
        terrain = terrain._replace(
            hills=0.3 + 0.7 * a, mountains=terrain.mountain_start * 0.22 * max(0.0, b - 0.3)
        )
        road = planned_road
        cover = cover._replace(
            houses=int(1 + 5 * c), trees=int(10 + 50 * d), conifers=0.2 * a, boulders=int(4 * b)
        )
    elif kind == "desert":
        terrain = terrain._replace(
            dunes=0.5 + 1.6 * a,
            mesas=1.0 if b < 0.6 else 0.0,
            mountains=terrain.mountain_start * (0.1 + 0.4 * c),
            hills=0.4,
        )
        cover = cover._replace(
            sandiness=1.0,
            snow_line=NOWHERE,
            trees=int(2 + 16 * d),
            cacti=1.0,
            bushes=bushes // 2,
            palms=1.0 if d < 0.3 else 0.0,
            rockiness=-0.35 + 0.45 * c,
            boulders=int(16 * b),
        )
        if a < 0.3:
            road = planned_road
    elif kind == "forest":
        cover = cover._replace(
            trees=int(150 + 170 * a),
            grove=-0.5,
            conifers=1.0 if b < 0.5 else c,
            boulders=int(6 * d),
        )
        terrain = terrain._replace(hills=1.2 + 2.2 * c)
        if d < 0.5:
            road = planned_road
    elif kind == "river":
        shore = River(
            side * (0.3 + 1.5 * a), 0.06 * side, 0.8 + 3.5 * b, 16 + 20 * c, 0.6 + d, a,
            end=terrain.mountain_start * 0.9,
        )  # fmt: skip
        terrain = terrain._replace(mountains=terrain.mountain_start * (0.1 + 0.4 * c))
        cover = cover._replace(trees=int(50 + 100 * d), beach=0.05 + 0.3 * b)
    elif kind == "winter":
        cover = cover._replace(
            snow_line=-NOWHERE, conifers=0.9, trees=int(15 + 130 * a), beach=0.0, houses=int(3 * b)
        )
        if c < 0.4:
            shore = Lake(side * 4 * a, 13 + 8 * b, 8 + 9 * d, 6 + 6 * b, 0.35, a)
        elif c < 0.7:
            road = planned_road
    else:
        road = planned_road._replace(width=wide_road * 1.2)
        terrain = terrain._replace(hills=0.3)
        cover = cover._replace(
            houses=int(3 + 7 * a), towers=int(3 + 14 * b), trees=int(10 + 30 * d), conifers=0.1
        )
        if d < 0.35:
            shore = Lake(side * (4 + 3 * a), 11 + 4 * b, 6 + 5 * c, 5 + 3 * b, 0.25, a)

    # Roads end where the mountains begin.
    road = road._replace(end=min(road.end, terrain.mountain_start * 0.9))
    sun_seen = draw(0, 1) < 0.65
    return Scene(
        kind=kind,
        horizon=horizon,
        eye=eye,
        sun_u=draw(-0.44, 0.44) if sun_seen else side * draw(0.8, 1.6),
        sun_v=horizon - draw(0.08, 0.92) * horizon,
        sun_radius=draw(0.024, 0.046),
        sun_seen=sun_seen,
        terrain=terrain,
        shore=shore,
        road=road,
        cover=cover,
        clouds=_clouds(draw, horizon),
        objects_seed=int(draw(0, 2**31)),
    )
