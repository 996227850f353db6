"""Water: reflection, body colour, foam and the sun's glitter."""

import numpy as np
from numpy.typing import NDArray

from pipelines.landscapes import noise, sky
from pipelines.landscapes.composition import FIELD, Scene
from pipelines.landscapes.lighting import Light, linear
from pipelines.landscapes.noise import Floats, detail, exp, mix, saturate, smoothstep
from pipelines.landscapes.shores import FrontShore, SideShore


def _mirrored(
    scene: Scene,
    light: Light,
    out: Floats,
    water: NDArray[np.bool_],
    z: Floats,
    depth: Floats,
    places: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    chop: Floats,
) -> Floats:
    """Returns what water pixels mirror; `places` are their rows, columns and far shores."""
    row, column, far_shore = places
    height, width = water.shape
    horizon = int(scene.horizon * height)
    below = (row - far_shore).astype(np.float32)
    shift = chop * (0.10 * below + 0.012 * height)
    source = np.floor(2 * far_shore + 1 - row - shift).astype(np.int64)
    source = np.minimum(np.maximum(source, 0), np.maximum(far_shore - 1, 0))
    aside = np.floor(chop * (0.02 * below) + column + 0.5).astype(np.int64)
    aside = np.minimum(np.maximum(aside, 0), width - 1)
    # Sky has no foot to stand on: it is mirrored about the horizon.
    above = np.floor(2 * horizon + 1 - row - shift).astype(np.int64)
    above = np.minimum(np.maximum(above, 0), max(horizon - 1, 0))
    open_above = np.isinf(depth[source, aside]) | water[source, aside]
    source = np.where(open_above, above, source)
    mirrored = out[:, source, aside]
    source_u = (aside.astype(np.float32) + 0.5 - width / 2) / height
    source_v = source.astype(np.float32) / height
    hidden = (depth[source, aside] < z * np.float32(0.97)) | water[source, aside]
    du, dv = source_u - np.float32(scene.sun_u), source_v - np.float32(scene.sun_v)
    # Waves break the sun's image up; the glitter below is what is left of it. The moon is pale
    # enough to stay.
    hidden |= (du * du + dv * dv < 2 * scene.sun_radius * scene.sun_radius) & (light.stars == 0)
    at = np.flatnonzero(hidden)
    if at.size:
        v = np.minimum(above[at].astype(np.float32) / height, np.float32(scene.horizon))
        mirrored[:, at] = sky.colour(scene, light, source_u[at], v)
    return mirrored


def _with_foam(
    light: Light, colour: Floats, x: Floats, z: Floats, shore: Floats, swell: Floats
) -> Floats:
    """Returns the colour with foam at the shore and on breakers."""
    reach = 0.10
    lace = noise.sample(noise.billow(), x * 0.5, z * 0.5)
    fine = detail(noise.billow(), x, z * 1.6, z, 0.9)
    edge = smoothstep(-reach * np.maximum(1 + 3.0 * swell, 0.3), 0.0, shore)
    breaker = noise.wave(shore * 0.6 + 1.6 * swell)
    rolling = smoothstep(0.90, 1.0, breaker) * smoothstep(-4.0, -0.8, shore)
    foam = saturate(edge * 1.2 + rolling * 1.1 - 1.3 * lace - 1.0 * fine)
    white = linear(240, 244, 246) * (light.ambient + light.direct * np.float32(0.7))
    return mix(colour, white[:, None], (0.9 * foam)[None])


def _glitter(
    scene: Scene,
    light: Light,
    x: Floats,
    z: Floats,
    u: Floats,
    v: Floats,
    ripple: Floats,
    strength: np.float32,
    share: float,
) -> Floats:
    """Returns the sunlight that waves throw back, `share` of it."""
    spread = 0.025 + 0.22 * np.maximum(v - np.float32(scene.horizon), 0) * (0.6 + strength)
    away = (u - np.float32(scene.sun_u)) / spread
    glint = noise.carpet(noise.white(), x * 0.5, z, max(scene.eye, 0.5), 0.5)
    sparkle = smoothstep(0.15, 0.75, 0.7 * ripple + 0.9 * glint) * 1.3
    column_of_light = exp(-away * away * np.float32(0.7)) * sparkle
    clear = 1 - 3.6 * min(light.stratus, 0.2)
    low = saturate(1.25 - (scene.horizon - scene.sun_v) * 1.6)
    tint = light.disc * light.glow / np.maximum(light.glow.max(), np.float32(0.2))
    power = tint * np.float32(0.9 * low * share * clear)
    return power[:, None] * column_of_light[None]


def paint(
    scene: Scene,
    light: Light,
    out: Floats,
    water: NDArray[np.bool_],
    x: Floats,
    z: Floats,
    shore: Floats,
    depth: Floats,
) -> Floats:
    """Computes the colour of the water pixels, before haze.

    What is mirrored is looked up in the picture itself, upside down about the far shore of each
    column, and replaced by sky where the mirrored point is nearer than the water.

    Args:
        scene: the scene.
        light: the light.
        out: the picture without water, linear `[3, H, W]`.
        water: where there is water, `[H, W]`; N pixels.
        x: world position of those pixels, `[N]`.
        z: their distance, `[N]`.
        shore: distance inland, negative, `[N]`.
        depth: distance of every pixel, infinite in the sky, `[H, W]`.

    Returns:
        Linear colour, `[3, N]`.
    """
    height, width = water.shape
    row, column = np.nonzero(water)
    rows = np.arange(height)[:, None]
    horizon = int(scene.horizon * height)
    dry = np.where(water, 0, rows)
    far_shore = np.maximum(np.maximum.accumulate(dry, axis=0)[row, column], horizon - 1)

    open_sea = isinstance(scene.shore, (SideShore, FrontShore))
    strength = np.float32(light.waves * (1.0 if open_sea else 0.45))
    ripple = noise.carpet(noise.fractal(), x * 0.4, z, max(scene.eye, 0.5), 2.4)
    swell = noise.sample(noise.fractal(), x / 34 + 0.3, z / 12)
    chop = (ripple + 0.45 * swell * saturate(12 / z)) * strength

    mirrored = _mirrored(scene, light, out, water, z, depth, (row, column, far_shore), chop)

    v = (row.astype(np.float32) + 0.5) / height
    down = np.maximum(v - np.float32(scene.horizon), 0) * np.float32(FIELD)
    tilt = np.maximum(down - chop * 0.10 * saturate(down * 8), 0)
    mirror = 0.10 + 0.84 * exp(tilt * np.float32(-6.5))

    daylight = light.ambient + light.direct * np.float32(0.55)
    shallow = smoothstep(-2.4 if open_sea else -1.2, 0.0, shore)
    tropic = mix(light.water, light.sand * np.array([0.30, 0.72, 0.66], np.float32), 0.8)
    body = mix(light.water[:, None], tropic[:, None], (shallow * 0.8)[None])
    body = body * daylight[:, None] * (1 + 0.5 * chop)[None]
    colour = mix(body, mirrored * np.float32(0.93), mirror[None])

    if open_sea:
        colour = _with_foam(light, colour, x, z, shore, swell)
    if scene.sun_seen:
        u = (column.astype(np.float32) + 0.5 - width / 2) / height
        share = 1.0 if open_sea else 0.7
        colour = colour + _glitter(scene, light, x, z, u, v, ripple, strength, share)
    return colour
