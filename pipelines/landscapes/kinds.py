"""Kinds of scenes: what makes a coast a coast."""

from collections.abc import Callable
from typing import NamedTuple

from pipelines.landscapes import noise
from pipelines.landscapes.noise import Floats
from pipelines.landscapes.shores import (
    NOWHERE,
    FrontShore,
    Lake,
    River,
    Shore,
    SideShore,
)


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


NO_ROAD = Road(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


class Dice(NamedTuple):
    """Random numbers that every kind of scene uses in its own way, each from 0 to 1."""

    a: float
    b: float
    c: float
    d: float
    # 1 or -1: to the right or to the left.
    side: float


class Plan(NamedTuple):
    """What a kind of scene decides, filled in for any scene at first."""

    terrain: Terrain
    cover: Cover
    eye: float
    shore: Shore
    road: Road


def _coast(plan: Plan, dice: Dice, road: Road) -> Plan:
    a, b, c, d, side = dice
    cover, terrain = plan.cover, plan.terrain
    return plan._replace(
        shore=SideShore(side, -0.6 + 1.6 * a, 0.12 + 0.2 * b, 0.1 + 0.22 * c, d),
        cover=cover._replace(
            beach=0.3 + 1.6 * a,
            palms=0.75 if b < 0.4 else 0.0,
            bushes=cover.bushes // 2,
            rockiness=cover.rockiness + 0.1,
            houses=int(4 * d * d),
        ),
        terrain=terrain._replace(
            hills=1.0 + 1.5 * c, mountains=terrain.mountain_start * (0.05 + 0.3 * d)
        ),
    )


def _bay(plan: Plan, dice: Dice, road: Road) -> Plan:
    a, b, c, d, side = dice
    cover, terrain = plan.cover, plan.terrain
    return plan._replace(
        shore=FrontShore(2.2 + 4.5 * a, 0.5 * side * b, 0.3 + 0.5 * c, 0.12 + 0.5 * d, a),
        cover=cover._replace(
            beach=6.0 + 9 * b,
            palms=0.85 if c < 0.6 else 0.0,
            trees=int(4 + 30 * d),
            bushes=cover.bushes // 4,
            boulders=int(4 + 16 * a),
        ),
        terrain=terrain._replace(
            hills=0.5, mountains=terrain.mountain_start * 0.3 * (0.3 + d), mountain_start=22.0
        ),
    )


def _lake(plan: Plan, dice: Dice, road: Road) -> Plan:
    a, b, c, d, side = dice
    terrain = plan.terrain
    return plan._replace(
        shore=Lake(side * 5 * a, 14 + 10 * b, 9 + 14 * c, 9 + 7 * b, 0.15 + 0.45 * d, a),
        terrain=terrain._replace(
            mountains=terrain.mountain_start * (0.25 + 0.6 * d), hills=0.3 + 0.5 * b
        ),
        eye=max(plan.eye, 0.5),
        cover=plan.cover._replace(trees=int(60 + 120 * c), houses=int(2.5 * a * a)),
    )


def _mountains(plan: Plan, dice: Dice, road: Road) -> Plan:
    a, b, c, d, _ = dice
    terrain = plan.terrain
    return plan._replace(
        terrain=terrain._replace(
            mountains=terrain.mountain_start * (0.45 + 0.45 * a), hills=0.6 + 1.5 * b
        ),
        cover=plan.cover._replace(
            snow_line=terrain.mountain_start * (0.1 + 0.32 * c), trees=int(20 + 90 * d)
        ),
        road=road if d < 0.35 else plan.road,
    )


def _plains(plan: Plan, dice: Dice, road: Road) -> Plan:
    a, b, c, d, _ = dice
    terrain = plan.terrain
    return plan._replace(
        terrain=terrain._replace(
            hills=0.3 + 0.7 * a, mountains=terrain.mountain_start * 0.22 * max(0.0, b - 0.3)
        ),
        road=road,
        cover=plan.cover._replace(
            houses=int(1 + 5 * c), trees=int(10 + 50 * d), conifers=0.2 * a, boulders=int(4 * b)
        ),
    )


def _desert(plan: Plan, dice: Dice, road: Road) -> Plan:
    a, b, c, d, _ = dice
    cover, terrain = plan.cover, plan.terrain
    return plan._replace(
        terrain=terrain._replace(
            dunes=0.5 + 1.6 * a,
            mesas=1.0 if b < 0.6 else 0.0,
            mountains=terrain.mountain_start * (0.1 + 0.4 * c),
            hills=0.4,
        ),
        cover=cover._replace(
            sandiness=1.0,
            snow_line=NOWHERE,
            trees=int(2 + 16 * d),
            cacti=1.0,
            bushes=cover.bushes // 2,
            palms=1.0 if d < 0.3 else 0.0,
            rockiness=-0.35 + 0.45 * c,
            boulders=int(16 * b),
        ),
        road=road if a < 0.3 else plan.road,
    )


def _forest(plan: Plan, dice: Dice, road: Road) -> Plan:
    a, b, c, d, _ = dice
    return plan._replace(
        cover=plan.cover._replace(
            trees=int(150 + 170 * a),
            grove=-0.5,
            conifers=1.0 if b < 0.5 else c,
            boulders=int(6 * d),
        ),
        terrain=plan.terrain._replace(hills=1.2 + 2.2 * c),
        road=road if d < 0.5 else plan.road,
    )


def _river(plan: Plan, dice: Dice, road: Road) -> Plan:
    a, b, c, d, side = dice
    terrain = plan.terrain
    return plan._replace(
        shore=River(
            x=side * (0.3 + 1.5 * a),
            lean=0.06 * side,
            winding=0.8 + 3.5 * b,
            length=16 + 20 * c,
            width=0.6 + d,
            phase=a,
            end=terrain.mountain_start * 0.9,
        ),
        terrain=terrain._replace(mountains=terrain.mountain_start * (0.1 + 0.4 * c)),
        cover=plan.cover._replace(trees=int(50 + 100 * d), beach=0.05 + 0.3 * b),
    )


def _winter(plan: Plan, dice: Dice, road: Road) -> Plan:
    a, b, c, d, side = dice
    plan = plan._replace(
        cover=plan.cover._replace(
            snow_line=-NOWHERE, conifers=0.9, trees=int(15 + 130 * a), beach=0.0, houses=int(3 * b)
        )
    )
    if c < 0.4:
        return plan._replace(shore=Lake(side * 4 * a, 13 + 8 * b, 8 + 9 * d, 6 + 6 * b, 0.35, a))
    return plan._replace(road=road) if c < 0.7 else plan


def _town(plan: Plan, dice: Dice, road: Road) -> Plan:
    a, b, c, d, side = dice
    plan = plan._replace(
        road=road._replace(width=road.width * 1.2),
        terrain=plan.terrain._replace(hills=0.3),
        cover=plan.cover._replace(
            houses=int(3 + 7 * a), towers=int(3 + 14 * b), trees=int(10 + 30 * d), conifers=0.1
        ),
    )
    if d < 0.35:
        shore = Lake(side * (4 + 3 * a), 11 + 4 * b, 6 + 5 * c, 5 + 3 * b, 0.25, a)
        return plan._replace(shore=shore)
    return plan


# The random choice of a kind goes by this order. Each gets a road, that it may have.
KINDS: dict[str, Callable[[Plan, Dice, Road], Plan]] = {
    "coast": _coast,
    "bay": _bay,
    "lake": _lake,
    "mountains": _mountains,
    "plains": _plains,
    "desert": _desert,
    "forest": _forest,
    "river": _river,
    "winter": _winter,
    "town": _town,
}
