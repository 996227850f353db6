"""The land: which material lies where, its texture and its shading."""

import numpy as np
from numpy.typing import NDArray

from pipelines.landscapes import noise, sky
from pipelines.landscapes.classes import GRASS, MOUNTAIN, ROAD, ROCK, SAND, SNOW, WATER
from pipelines.landscapes.composition import Scene
from pipelines.landscapes.lighting import Light, linear
from pipelines.landscapes.noise import Floats, detail, exp, mix, saturate, smoothstep
from pipelines.landscapes.terrain import Surface


def materials(scene: Scene, surface: Surface) -> NDArray[np.uint8]:
    """Returns the class of each terrain pixel; no light has a say in it."""
    s, cover = surface, scene.cover
    patches = noise.sample(noise.fractal(), s.x / 45 + 0.3, s.z / 45 + s.height / 20)
    fine = noise.sample(noise.fractal(), s.x / 9 + 0.7, s.z / 9 + s.height / 6)
    slope = np.sqrt(s.slope_x * s.slope_x + s.slope_z * s.slope_z)
    label = np.full(s.x.shape, GRASS, np.uint8)
    label[
        (s.shore < cover.beach * np.maximum(1 + 1.5 * fine, 0.6)) | (cover.sandiness + patches > 0)
    ] = SAND
    # Dunes are steep without a rock in them.
    bare = 1.5 * slope + 0.6 * fine + 0.7 * patches + cover.rockiness > 0.8
    label[bare & (slope > 0.2 + 0.3 * fine) & (s.massif > (0.3 if scene.terrain.dunes else -1))] = (
        ROCK
    )
    foot = 0.5 + 0.12 * scene.terrain.mountains
    label[s.massif > foot * np.maximum(1 + 1.2 * patches + 0.6 * fine, 0.4)] = MOUNTAIN
    # Cliffs shed their snow, except near the summits.
    high = smoothstep(0.25 * scene.terrain.mountains, 0.8 * scene.terrain.mountains + 0.1, s.height)
    cold = s.height > cover.snow_line * (1 + 0.7 * patches + 0.3 * fine)
    label[cold & (slope < np.maximum(1.1 + 1.6 * fine, 0.5) + 1.1 * high)] = SNOW
    if scene.road.width:
        off = np.abs(s.x - scene.road.middle(s.z))
        label[(off < scene.road.width) & (s.z < scene.road.end)] = ROAD
    label[s.shore < 0] = WATER
    return label


def _grass(light: Light, eye: float, x: Floats, z: Floats, grain: Floats) -> Floats:
    meadow = noise.sample(noise.fractal(), x / 24 + 0.1, z / 24 + 0.6)
    # Tufts: tips catch the light, and what is just below them is dark.
    tip = noise.carpet(noise.billow(), x, z, eye, 1.9)
    foot = noise.carpet(noise.billow(), x, z, eye, 1.9, lift=0.006)
    # Blades, three times as tall as wide.
    blade = noise.sample(noise.white(), x / z * 1.1, eye / z * 0.36)
    near = saturate(1.3 - z / 40)
    dry = smoothstep(-0.35, 0.45, meadow + 0.5 * (light.meadow - 0.5) + 0.3 * grain)
    shade = 0.86 + 0.38 * grain + (1.1 * (tip - 0.3) + 1.8 * (tip - foot) + 0.24 * blade) * near
    shade = np.maximum(shade, 0.25)
    out = mix(light.grass[:, None], light.dry_grass[:, None], dry[None]) * shade[None]
    # Flowers, in drifts, near enough to be told apart.
    drift = smoothstep(0.05, 0.3, meadow + 0.3 * (light.meadow - 0.4))
    dots = noise.pick(noise.white(), x / z * 330, 24 / z * 22) > 0.86
    bloom = dots * drift * saturate(1.6 - z / 12)
    return mix(out, light.flowers[:, None], (0.85 * bloom)[None])


def _sand(light: Light, x: Floats, z: Floats, shore: Floats, grain: Floats) -> Floats:
    warp = noise.sample(noise.fractal(), x / 14, z / 14)
    ripples = noise.wave((z * 0.8 + x * 0.35) * 2.2 + 5 * warp) * saturate(1.6 - z / 9)
    wet = smoothstep(0.5, 0.0, shore)
    shade = (1 + 0.28 * grain + 0.09 * ripples) * (1 - 0.42 * wet)
    return light.sand[:, None] * shade[None]


def _rock(light: Light, grain: Floats, strata: Floats) -> Floats:
    shade = 0.82 + 0.75 * grain + 0.16 * strata
    warm = np.array([1.06, 1.0, 0.93], np.float32)[:, None]
    return light.rock[:, None] * shade[None] * mix(np.float32(1), warm, saturate(strata)[None])


def _mountain(
    scene: Scene, light: Light, s: Surface, at: NDArray[np.int64], grain: Floats, strata: Floats
) -> Floats:
    out = _rock(light, grain, strata)
    if scene.terrain.mesas:
        red = np.array([1.25, 0.85, 0.66], np.float32)[:, None]
        bands = noise.wave(s.height[at] * 0.9 + 0.4 * grain)
        return out * red * (1 + 0.16 * bands)[None]
    # Woods climb to some way below the snow, and thin out where it is steep.
    line = min(scene.cover.snow_line * 0.75, scene.terrain.mountains * 0.45)
    patch = noise.sample(noise.fractal(), s.x[at] / 28, s.z[at] / 28)
    steep = np.sqrt(s.slope_x[at] * s.slope_x[at] + s.slope_z[at] * s.slope_z[at])
    woods = smoothstep(1.25, 0.35, s.height[at] / max(line, 1e-3) + 0.5 * patch)
    woods = woods * smoothstep(1.5, 0.5, steep + grain)
    green = mix(light.conifer, light.grass, 0.35)[:, None] * (0.75 + 0.9 * grain)[None]
    return mix(out, np.maximum(green, 0), woods[None])


def _road(scene: Scene, light: Light, x: Floats, z: Floats, grain: Floats) -> Floats:
    across = (x - scene.road.middle(z)) / scene.road.width
    if not light.paved:
        ruts = smoothstep(0.3, 0.0, np.abs(np.abs(across) - 0.45))
        earth = mix(light.sand, light.rock, 0.45)[:, None]
        verge = smoothstep(0.12, 0.0, np.abs(across)) * 0.4 + smoothstep(0.8, 1.0, np.abs(across))
        base = earth * (0.8 + 0.6 * grain + 0.12 * ruts)[None]
        return mix(base, light.dry_grass[:, None], saturate(verge * 0.7 + grain * 0.3)[None])
    tar = linear(104, 104, 110)[:, None] * (0.9 + 0.35 * grain)[None]
    dash = z * 0.55 - np.floor(z * 0.55) < 0.55
    blur = np.minimum(0.08 + z * 0.004, 0.3)
    line = smoothstep(blur, blur * 0.4, np.abs(across)) * dash
    edge = smoothstep(blur, blur * 0.4, np.abs(np.abs(across) - 0.86))
    return mix(tar, linear(235, 230, 215)[:, None], (saturate(line + edge) * 0.85)[None])


def haze(
    scene: Scene, light: Light, u: Floats, z: Floats, height: Floats, colour: Floats
) -> Floats:
    """Veils a colour by the air before it.

    Args:
        scene: the scene.
        light: the light.
        u: horizontal picture position, `[N]`.
        z: distance, `[N]`.
        height: above the water, `[N]`: mist lies low.
        colour: `[3, N]`, linear.

    Returns:
        `[3, N]`.
    """
    clear = exp(z * np.float32(-0.0052 * light.haze))
    if light.mist:
        low = exp(np.maximum(height, 0) * np.float32(-0.7))
        thick = np.maximum(z - 4, 0) * np.float32(-0.035 * light.mist)
        clear = clear * exp(thick * low)
    air = sky.colour(scene, light, u, np.full_like(u, scene.horizon - 0.02))
    # The glow seen through air is the scattered part only.
    return mix(air * np.float32(0.96), colour, clear[None])


def _rough_slope(
    scene: Scene,
    sun: Floats,
    s: Surface,
    label: NDArray[np.uint8],
    steep: NDArray[np.bool_],
    v: Floats,
    grain: Floats,
) -> Floats:
    """Returns the slope across the picture, with bumps too small for the heightfield."""
    slope_x = s.slope_x
    crags = np.flatnonzero(steep)
    if crags.size:
        # The grain's own slope across the picture.
        bump = detail(noise.fractal(), s.x[crags] - 0.012 * s.z[crags], v[crags], s.z[crags], 0.55)
        slope_x = slope_x.copy()
        rough = np.where(label[crags] == SNOW, np.float32(0.35), np.float32(1.1))
        slope_x[crags] += (grain[crags] - bump) * rough
    drifts = np.flatnonzero((label == SAND) | (label == SNOW))
    if drifts.size:
        x, z = s.x[drifts], s.z[drifts]
        eye = max(scene.eye, 0.4)
        relief = noise.carpet(noise.fractal(), x, z, eye, 0.5)
        relief -= noise.carpet(noise.fractal(), x - 0.012 * z, z, eye, 0.5, lift=0.012)
        slope_x = slope_x.copy() if slope_x is s.slope_x else slope_x
        slope_x[drifts] += relief * 2.6 * np.sign(sun[0])
    return slope_x


def _albedo(
    scene: Scene,
    light: Light,
    s: Surface,
    which: int,
    at: NDArray[np.int64],
    grain: Floats,
) -> Floats:
    """Returns the colour of one class under white light, `[3, N]`, at the points `at`."""
    x, z, g = s.x[at], s.z[at], grain[at]
    if which == GRASS:
        albedo = _grass(light, max(scene.eye, 0.4), x, z, g)
    elif which == SAND:
        albedo = _sand(light, x, z, s.shore[at], g)
    elif which == ROAD:
        albedo = _road(scene, light, x, z, g)
    elif which == SNOW:
        sparkle = noise.pick(noise.white(), x / z * 700, 30 / z * 30) > 0.985
        tint = linear(236, 241, 250)[:, None]
        albedo = tint * (0.95 + 0.22 * g + 0.5 * sparkle * saturate(2 - z / 10))[None]
    else:
        strata = noise.sample(noise.fractal(), x / 60, s.height[at] / 5 + g * 0.06)
        albedo = (
            _rock(light, g, strata) if which == ROCK else _mountain(scene, light, s, at, g, strata)
        )
    return albedo


def shade(
    scene: Scene,
    light: Light,
    sun: Floats,
    surface: Surface,
    label: NDArray[np.uint8],
    shadow: Floats,
) -> Floats:
    """Computes the colour of the terrain pixels, before haze.

    Args:
        scene: the scene.
        light: the light.
        sun: unit vector towards the light, `[right, up, away]`.
        surface: of the terrain pixels.
        label: their classes, `[N]`.
        shadow: share of direct light that cast shadows let through, `[N]`.

    Returns:
        Linear colour, `[3, N]`; water is left black.
    """
    s = surface
    out = np.zeros((3, *s.x.shape), np.float32)
    clouds = noise.sample(noise.rolling(), s.x / 150 + 0.2, s.z / 110 + 0.9)
    dapple = mix(np.float32(0.42), np.float32(1), smoothstep(-0.22, 0.06, clouds))
    steep = (label == MOUNTAIN) | (label == ROCK) | (label == SNOW)
    v = s.height + 0.4 * s.z
    grain = np.where(
        steep,
        detail(noise.fractal(), s.x, v, s.z, 0.55),
        noise.carpet(noise.fractal(), s.x, s.z, max(scene.eye, 0.4), 1.7),
    )
    slope_x = _rough_slope(scene, sun, s, label, steep, v, grain)
    slope_z = s.slope_z
    norm = np.float32(1) / np.sqrt(slope_x * slope_x + slope_z * slope_z + np.float32(1))
    facing = (sun[1] - slope_x * sun[0] - slope_z * sun[2]) * norm
    # A plain lit at a low angle still reads as lit: grass and sand stand up from it.
    flatness = mix(np.float32(1), np.float32(0.62), norm * norm)
    diffuse = mix(facing, np.maximum(facing, 0) * 0.5 + np.float32(0.55), 1 - flatness)
    diffuse = np.maximum(diffuse, 0) * dapple * shadow
    ambient = (0.55 + 0.45 * norm) * (0.45 + 0.55 * shadow)

    for which in (GRASS, SAND, ROCK, MOUNTAIN, SNOW, ROAD):
        at = np.flatnonzero(label == which)
        if not at.size:
            continue
        albedo = _albedo(scene, light, s, which, at, grain)
        lit, fill = diffuse[at], ambient[at]
        for c in range(3):
            out[c, at] = np.maximum(albedo[c], 0) * (
                light.direct[c] * lit + light.ambient[c] * fill
            )
    return out
