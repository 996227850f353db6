"""The sky: its gradient, the sun or moon, stars and clouds."""

import numpy as np
from numpy.typing import NDArray

from pipelines.landscapes import noise
from pipelines.landscapes.classes import CLOUD, SKY, SUN
from pipelines.landscapes.composition import Cloud, Scene
from pipelines.landscapes.lighting import Light
from pipelines.landscapes.noise import Floats, mix, saturate, smoothstep


def glow(scene: Scene, light: Light, u: Floats, v: Floats) -> Floats:
    """Returns the strength of the sun's glow at picture positions, at most about 2."""
    du, dv = u - np.float32(scene.sun_u), v - np.float32(scene.sun_v)
    near = du * du + dv * dv
    # Near the horizon the glow spreads sideways.
    flat = du * du * 0.35 + dv * dv * 2.0
    width = np.float32(light.glow_width)
    wide = 1 / (1 + near / (width * width))
    band = 1 / (1 + flat / (width * width))
    core = scene.sun_radius * 1.3
    return 0.8 * wide * wide + 0.5 * band * band + 0.7 / (1 + near / np.float32(core * core))


def colour(scene: Scene, light: Light, u: Floats, v: Floats) -> Floats:
    """Returns the clear sky's linear colour at picture positions, `[3, *shape]`."""
    rise = saturate((np.float32(scene.horizon) - v) / np.float32(0.62))
    u, rise = np.broadcast_arrays(u, rise)
    low, high = smoothstep(0.0, 0.34, rise), smoothstep(0.18, 1.0, rise)
    shine = glow(scene, light, u, v)
    out = np.empty((3, *rise.shape), np.float32)
    # A high thin layer, drawn together towards the horizon.
    far = np.float32(0.16) / (rise + np.float32(0.12))
    layer = noise.sample(noise.fractal(), u * far * 0.5 + scene.terrain.offsets[7], far * 0.9)
    veil = 1 + np.float32(2.4 * light.stratus) * layer * smoothstep(0.0, 0.25, rise)
    for c in range(3):
        base = mix(light.horizon[c], light.middle[c], low)
        out[c] = mix(base, light.zenith[c], high) * veil + light.glow[c] * shine
    return out


def _stars(scene: Scene, light: Light, rng: np.random.Generator, out: Floats) -> None:
    height, width = out.shape[1:]
    count = 420
    at = noise.uniforms(rng, (3, count))
    # The same density whatever the aspect; bright ones are rare.
    row = (at[0] * scene.horizon * height).astype(np.int64)
    column = ((at[1] * 2 - 0.5) * height + (width - height) / 2).astype(np.int64)
    keep = (column >= 0) & (column < width)
    bright = at[2] * at[2]
    bright = bright * bright * bright
    fade = saturate((scene.horizon - at[0] * scene.horizon) * 4)
    strength = light.stars * fade * (0.05 + 1.1 * bright) * min(1.0, height / 256)
    size = max(1, height // 300)
    for dy in range(size):
        for dx in range(size):
            r, c = np.minimum(row + dy, height - 1), np.minimum(column + dx, width - 1)
            out[:, r[keep], c[keep]] += strength[keep] * np.array([[0.9], [0.95], [1.0]], "f4")


def _disc(scene: Scene, light: Light, out: Floats, label: NDArray[np.uint8]) -> None:
    height, width = label.shape
    radius = scene.sun_radius
    middle_u, middle_v = scene.sun_u + width / height / 2, scene.sun_v
    left = max(int((middle_u - radius) * height) - 1, 0)
    right = min(int((middle_u + radius) * height) + 2, width)
    top = max(int((middle_v - radius) * height) - 1, 0)
    bottom = min(int((middle_v + radius) * height) + 2, height)
    if left >= right or top >= bottom:
        return
    u = (np.arange(left, right, dtype=np.float32) + 0.5) / height - np.float32(middle_u)
    v = (np.arange(top, bottom, dtype=np.float32) + 0.5) / height - np.float32(middle_v)
    u, v = u[None, :] / radius, v[:, None] / radius
    distance = u * u + v * v
    inside = distance < 1
    seas = noise.sample(noise.fractal(), u * 0.07 + 0.31, v * 0.07 + 0.2)
    face = 1 - light.stars * (0.32 * smoothstep(0.0, 0.35, seas) + 0.22 * distance)
    # Through an overcast sky the disc fades towards its edge.
    solid = 1 - saturate(light.stratus * 4) * (0.25 + 0.75 * saturate(distance))
    window = out[:, top:bottom, left:right]
    for c in range(3):
        bright = np.maximum(window[c], light.disc[c] * face)
        np.copyto(window[c], mix(window[c], bright, solid), where=inside)
    label[top:bottom, left:right][inside] = SUN


def _density(cloud: Cloud, u: Floats, v: Floats) -> tuple[Floats, Floats]:
    """Returns a cloud's density (> 0 inside) and the height within it, −1 to 1."""
    a, b = u / np.float32(cloud.width), v / np.float32(cloud.height)
    scale = np.float32(0.15 / cloud.width)
    if cloud.wispy:
        shear = noise.sample(noise.fractal(), u * scale * 0.6 + cloud.offset_v, v * scale)
        streaks = noise.sample(
            noise.fractal(),
            (u + v * 1.5) * scale * 0.5 + cloud.offset_u,
            v * scale * 3.0 + cloud.offset_v + shear * 0.1,
        )
        return 0.45 - a * a - b * b + 1.5 * streaks, b
    lumps = noise.sample(noise.billow(), u * scale + cloud.offset_u, v * scale + cloud.offset_v)
    shape = noise.sample(
        noise.fractal(), u * scale * 0.7 + cloud.offset_v, v * scale * 0.7 + cloud.offset_u
    )
    # A flat base: below the middle the profile closes three times as fast.
    lower = np.maximum(b, 0) * 2.6
    upper = np.minimum(b, 0)
    envelope = 1 - a * a - lower * lower - upper * upper
    return envelope + 1.5 * shape - 1.9 * lumps + 0.22, b


def _cloud(
    scene: Scene,
    light: Light,
    cloud: Cloud,
    number: int,
    out: Floats,
    label: NDArray[np.uint8],
    instance: NDArray[np.uint16],
) -> None:
    height, width = label.shape
    middle = cloud.u + width / height / 2
    reach_u, reach_v = cloud.width * 1.35, cloud.height * 1.35
    left = max(int((middle - reach_u) * height), 0)
    right = min(int((middle + reach_u) * height) + 1, width)
    top = max(int((cloud.v - reach_v) * height), 0)
    bottom = min(int((cloud.v + reach_v) * height) + 1, int(scene.horizon * height) + 1, height)
    if left >= right or top >= bottom:
        return
    column = (np.arange(left, right, dtype=np.float32) + 0.5) / height
    row = (np.arange(top, bottom, dtype=np.float32) + 0.5) / height
    u, v = np.broadcast_arrays(
        (column - np.float32(middle))[None, :], (row - np.float32(cloud.v))[:, None]
    )
    density, b = _density(cloud, u, v)
    # How much cloud lies between here and the sun shades this part of it.
    to_u, to_v = scene.sun_u - cloud.u, scene.sun_v - cloud.v - 0.35
    step = cloud.height * 0.3 / (abs(to_u) + abs(to_v) + 1e-3)
    towards, _ = _density(cloud, u + np.float32(to_u * step), v + np.float32(to_v * step))
    alpha = smoothstep(0.0, 0.75 if cloud.wispy else 0.42, density)
    if cloud.wispy:
        alpha = alpha * np.float32(0.75)
    lit = saturate(0.62 - 0.75 * (towards - 0.35 * density) - 0.34 * b)
    lit = 0.25 + 0.75 * lit if cloud.wispy else lit
    shine = glow(scene, light, u + np.float32(cloud.u), v + np.float32(cloud.v))
    silver = shine * (1 - saturate(density * 1.4)) * 0.55 + 0.12 * shine
    if cloud.wispy:
        # Against the glow a thin cloud shows as the darker streak.
        lit, silver = lit * (1 - 0.75 * saturate(shine)), silver * 0.2
    # Distance whitens: low clouds take the colour of the air at the horizon.
    air = np.float32(0.55 * saturate(np.float32(1 - (scene.horizon - cloud.v) / 0.3)))
    window = out[:, top:bottom, left:right]
    for c in range(3):
        tone = mix(light.cloud_shade[c], light.cloud_lit[c], lit) + light.glow[c] * silver
        tone = mix(tone, light.horizon[c] + 0.4 * light.glow[c] * shine, air)
        window[c] += (tone - window[c]) * alpha
    seen = alpha > 0.4
    label[top:bottom, left:right][seen] = CLOUD
    instance[top:bottom, left:right][seen] = number


def paint(
    scene: Scene,
    light: Light,
    rng: np.random.Generator,
    label: NDArray[np.uint8],
    instance: NDArray[np.uint16],
) -> Floats:
    """Paints the whole canvas as sky, and labels it.

    Args:
        scene: the scene.
        light: the light.
        rng: of the stars.
        label: `[H, W]`, written in place.
        instance: `[H, W]`, written in place: clouds count from 1.

    Returns:
        Linear colour, `[3, H, W]`.
    """
    height, width = label.shape
    u = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / height
    v = (np.arange(height, dtype=np.float32) + 0.5) / height
    out = colour(scene, light, u[None, :], v[:, None])
    label[:] = SKY
    if light.stars:
        _stars(scene, light, rng, out)
    _disc(scene, light, out, label)
    for number, cloud in enumerate(scene.clouds, start=1):
        _cloud(scene, light, cloud, number, out, label, instance)
    return out
