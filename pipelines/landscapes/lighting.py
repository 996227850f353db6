"""The times of day: what colour the sky, the light and the season's surfaces have.

Colours are written as they should look (display values, 0 to 255) and turned into light by
squaring; the picture is turned back by a square root at the end.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.landscapes import noise
from pipelines.landscapes.noise import Floats, mix

TIMES_OF_DAY = ("dawn", "noon", "dusk", "night", "overcast")


class Light(NamedTuple):
    """The light of one picture; colours are linear, shape [3]."""

    zenith: Floats
    middle: Floats
    horizon: Floats
    glow: Floats
    glow_width: float
    disc: Floats
    direct: Floats
    ambient: Floats
    haze: float
    mist: float
    cloud_lit: Floats
    cloud_shade: Floats
    elevation: float
    stars: float
    stratus: float
    lamps: float
    foliage: Floats
    conifer: Floats
    grass: Floats
    dry_grass: Floats
    meadow: float
    flowers: Floats
    sand: Floats
    rock: Floats
    water: Floats
    waves: float
    paved: float
    walls: Floats
    roofs: Floats
    saturation: float
    grain: float


def linear(*colour: float) -> Floats:
    """Returns the linear light of a display colour of 0 to 255."""
    value = np.array(colour, np.float32) / np.float32(255)
    return value * value


_SKY: dict[str, dict[str, Sequence[float]]] = {
    "dawn": {
        "zenith": (104, 140, 196),
        "middle": (226, 178, 178),
        "horizon": (255, 214, 160),
        "glow": (255, 190, 110),
        "disc": (255, 236, 190),
        "direct": (255, 190, 130),
        "ambient": (128, 128, 160),
        "cloud_lit": (255, 212, 190),
        "cloud_shade": (150, 132, 164),
    },
    "noon": {
        "zenith": (42, 104, 188),
        "middle": (104, 166, 226),
        "horizon": (198, 222, 240),
        "glow": (255, 250, 235),
        "disc": (255, 252, 238),
        "direct": (255, 246, 228),
        "ambient": (122, 140, 166),
        "cloud_lit": (255, 254, 250),
        "cloud_shade": (150, 166, 190),
    },
    "dusk": {
        "zenith": (58, 72, 130),
        "middle": (186, 122, 140),
        "horizon": (255, 178, 112),
        "glow": (255, 134, 56),
        "disc": (255, 218, 140),
        "direct": (255, 158, 92),
        "ambient": (104, 104, 142),
        "cloud_lit": (255, 146, 96),
        "cloud_shade": (104, 82, 122),
    },
    "night": {
        "zenith": (8, 14, 36),
        "middle": (20, 32, 68),
        "horizon": (44, 60, 98),
        "glow": (120, 140, 190),
        "disc": (240, 240, 226),
        "direct": (134, 154, 200),
        "ambient": (62, 76, 114),
        "cloud_lit": (92, 106, 146),
        "cloud_shade": (28, 36, 62),
    },
    "overcast": {
        "zenith": (122, 132, 144),
        "middle": (160, 168, 176),
        "horizon": (204, 207, 208),
        "glow": (235, 235, 228),
        "disc": (250, 249, 240),
        "direct": (150, 150, 148),
        "ambient": (162, 167, 174),
        "cloud_lit": (196, 200, 205),
        "cloud_shade": (112, 120, 131),
    },
}
# Where each time of day goes to at the other end of its range: a golden instead of a purple
# dusk, a blue instead of a rosy dawn, a milky noon, a moonlit teal, a storm.
_OTHER_SKY: dict[str, dict[str, Sequence[float]]] = {
    "dawn": {
        "zenith": (88, 128, 190),
        "middle": (158, 184, 218),
        "horizon": (255, 226, 196),
        "cloud_lit": (255, 226, 206),
        "cloud_shade": (144, 148, 180),
    },
    "noon": {
        "zenith": (76, 138, 204),
        "middle": (140, 188, 230),
        "horizon": (222, 232, 238),
    },
    "dusk": {
        "zenith": (86, 110, 158),
        "middle": (206, 168, 140),
        "horizon": (255, 208, 128),
        "direct": (255, 184, 112),
        "ambient": (116, 118, 138),
        "cloud_lit": (255, 190, 128),
        "cloud_shade": (132, 112, 122),
    },
    "night": {
        "zenith": (10, 26, 44),
        "middle": (24, 52, 78),
        "horizon": (56, 88, 108),
        "direct": (136, 164, 194),
        "ambient": (62, 84, 108),
    },
    "overcast": {
        "zenith": (84, 96, 112),
        "middle": (122, 134, 146),
        "horizon": (190, 194, 194),
        "direct": (120, 122, 124),
        "ambient": (138, 145, 154),
        "cloud_shade": (84, 92, 104),
    },
}
# glow width, glow strength, haze, mist, elevation, stars, lamps
_AIR: dict[str, tuple[float, ...]] = {
    "dawn": (0.34, 0.55, 1.3, 0.75, 0.42, 0.0, 0.25),
    "noon": (0.16, 0.40, 0.75, 0.0, 0.95, 0.0, 0.0),
    "dusk": (0.40, 0.60, 1.1, 0.2, 0.34, 0.0, 0.7),
    "night": (0.24, 0.16, 0.9, 0.25, 0.6, 1.0, 1.0),
    "overcast": (0.30, 0.18, 1.8, 0.5, 0.9, 0.0, 0.1),
}
# Seasons: foliage light and second colour, conifer, grass, dry grass.
_SEASONS = (
    ((96, 128, 52), (70, 104, 44), (42, 76, 52), (104, 134, 58), (158, 150, 84)),
    ((120, 146, 58), (86, 124, 50), (50, 84, 52), (118, 148, 62), (146, 156, 80)),
    ((188, 116, 44), (160, 70, 38), (48, 78, 50), (140, 132, 66), (176, 150, 84)),
    ((150, 140, 60), (196, 150, 52), (56, 82, 52), (134, 136, 64), (182, 160, 90)),
    ((84, 118, 60), (60, 96, 52), (34, 66, 50), (92, 122, 60), (138, 140, 82)),
)
_SANDS = ((224, 198, 150), (232, 212, 176), (214, 172, 116), (206, 150, 104), (226, 204, 160))
_ROCKS = ((126, 118, 110), (140, 122, 102), (112, 112, 116), (150, 118, 92), (104, 100, 96))
_WATERS = ((28, 78, 104), (20, 92, 110), (36, 70, 92), (40, 88, 84), (18, 64, 108))
_WALLS = (
    (228, 220, 204),
    (206, 186, 156),
    (188, 98, 76),
    (160, 164, 168),
    (226, 198, 128),
    (150, 110, 84),
    (240, 238, 232),
    (172, 60, 52),
)
_ROOFS = ((150, 76, 56), (92, 82, 80), (112, 68, 52), (70, 78, 90), (136, 96, 70))
_FLOWERS = ((240, 226, 90), (226, 92, 110), (240, 240, 244), (150, 110, 210), (250, 160, 60))


def light(seed: int, index: int, time_of_day: str | None) -> tuple[str, Light]:
    """Draws the light and the season of one picture.

    Args:
        seed: of the data set.
        index: of the picture.
        time_of_day: one of `TIMES_OF_DAY`; drawn if None. The season does not depend on it.

    Returns:
        The time of day and its light.
    """
    rng = noise.stream(seed, index, 1)
    drawn = TIMES_OF_DAY[(0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4)[int(rng.random() * 14)]]
    time = drawn if time_of_day is None else time_of_day

    def among(colours: Sequence[Sequence[float]], jitter: float = 0.08) -> Floats:
        base = linear(*colours[int(rng.random() * len(colours))])
        return base * (1 + jitter * (2 * noise.uniforms(rng, 3) - 1))

    season = _SEASONS[int(rng.random() * len(_SEASONS))]
    shift = 1 + 0.12 * (2 * noise.uniforms(rng, (5, 3)) - 1)
    between = np.float32(rng.random())
    sky = {
        name: mix(linear(*colour), linear(*_OTHER_SKY[time].get(name, colour)), between)
        for name, colour in _SKY[time].items()
    }
    tint = 1 + 0.07 * (2 * noise.uniforms(rng, 3) - 1)
    tint = tint * (1 + 0.04 * (2 * noise.uniforms(rng, (4, 3)) - 1))
    width, strength, haze, mist, elevation, stars, lamps = _AIR[time]
    vary = noise.uniforms(rng, 8)
    # A low sun reddens by very different amounts from one evening to the next.
    if time in ("dawn", "dusk"):
        red = np.array([1.0, 0.88 + 0.22 * vary[0], 0.75 + 0.5 * vary[6]], np.float32)
        sky = {name: colour * red for name, colour in sky.items()}
    return time, Light(
        zenith=sky["zenith"] * tint[0],
        middle=sky["middle"] * tint[1],
        horizon=sky["horizon"] * tint[2],
        glow=sky["glow"] * np.float32(strength),
        glow_width=width * (0.8 + 0.5 * float(vary[1])),
        disc=sky["disc"] * np.float32(1.6 if time not in ("night", "overcast") else 1.05),
        direct=sky["direct"] * np.float32(1.0 + 0.35 * vary[2]),
        ambient=sky["ambient"] * tint[3],
        haze=haze * (0.5 + 1.1 * float(vary[3]) * float(vary[3])),
        mist=mist * float(vary[4]),
        cloud_lit=sky["cloud_lit"],
        cloud_shade=sky["cloud_shade"],
        elevation=elevation * (0.85 + 0.3 * float(vary[5])),
        stars=stars,
        stratus=0.20 if time == "overcast" else 0.03,
        lamps=lamps,
        foliage=np.stack([linear(*season[0]), linear(*season[1])]) * shift[:2],
        conifer=linear(*season[2]) * shift[2],
        grass=linear(*season[3]) * shift[3],
        dry_grass=linear(*season[4]) * shift[4],
        meadow=float(rng.random()),
        flowers=among(_FLOWERS),
        sand=among(_SANDS),
        rock=among(_ROCKS),
        water=among(_WATERS, 0.15),
        waves=0.4 + 0.9 * float(vary[6]),
        paved=float(rng.random() < 0.6),
        walls=np.stack([among(_WALLS) for _ in range(8)]),
        roofs=np.stack([among(_ROOFS) for _ in range(8)]),
        saturation=1.0 + 0.16 * float(vary[7]),
        grain=0.004 + 0.007 * float(rng.random()),
    )


def direction(sun_u: float, seen: bool, elevation: float) -> Floats:
    """Returns the unit vector towards the light, [right, up, away].

    A sun inside the picture would leave all that faces the camera dark, so the light of such a
    scene comes from its side, a little from behind, as photographers wait for.
    """
    side = 1.0 if sun_u > 0 else -1.0
    away = 0.18 if seen else -0.45
    vector = np.array([0.55 * side + 0.5 * sun_u, elevation, away], np.float32)
    return vector / np.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])
