"""What is where: the random choice of a scene, before any light falls on it.

Lengths are in units of about ten metres; x goes right, h up, z away from the camera.
A point is seen at `u = x / (z·FIELD)` from the middle and `v = horizon − (h − camera) / (z·FIELD)`
from the top, both in picture heights.
"""

from collections.abc import Callable
from typing import NamedTuple

from pipelines.landscapes import noise
from pipelines.landscapes.kinds import KINDS, NO_ROAD, Cover, Dice, Plan, Road, Terrain
from pipelines.landscapes.shores import NoShore, Shore

# Vertical extent of the picture at distance 1: a field of view of 48°.
FIELD = 0.9

Draw = Callable[[float, float], float]


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


def _cover(draw: Draw, terrain: Terrain, bushes: int) -> Cover:
    return Cover(
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

    kind = list(KINDS)[int(draw(0, len(KINDS)))]
    horizon = draw(0.40, 0.70)
    eye = 0.22 + 1.3 * draw(0, 1) * draw(0, 1)
    if draw(0, 1) < 0.2:
        eye += draw(1.0, 4.0)
    terrain = _terrain(draw, tuple(draw(0, 1) for _ in range(8)))
    cover = _cover(draw, terrain, bushes=int(draw(6, 40)))
    side = 1.0 if draw(0, 1) < 0.5 else -1.0
    a, b, c, d = (draw(0, 1) for _ in range(4))
    dice = Dice(a, b, c, d, side)
    road = _road(draw, width=draw(0.17, 0.32))
    plan = KINDS[kind](Plan(terrain, cover, eye, NoShore(), NO_ROAD), dice, road)

    # Roads end where the mountains begin.
    end = min(plan.road.end, plan.terrain.mountain_start * 0.9)
    sun_seen = draw(0, 1) < 0.65
    return Scene(
        kind=kind,
        horizon=horizon,
        eye=plan.eye,
        sun_u=draw(-0.44, 0.44) if sun_seen else side * draw(0.8, 1.6),
        sun_v=horizon - draw(0.08, 0.92) * horizon,
        sun_radius=draw(0.024, 0.046),
        sun_seen=sun_seen,
        terrain=plan.terrain,
        shore=plan.shore,
        road=plan.road._replace(end=end),
        cover=plan.cover,
        clouds=_clouds(draw, horizon),
        objects_seed=int(draw(0, 2**31)),
    )
