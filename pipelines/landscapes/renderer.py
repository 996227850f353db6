"""From a seed and an index to a picture with its label and instance maps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.landscapes import buildings, lighting, noise, objects, sky, surface, water
from pipelines.landscapes import composition as layout
from pipelines.landscapes import terrain as land
from pipelines.landscapes.classes import BUILDING, WATER
from pipelines.landscapes.lighting import TIMES_OF_DAY
from pipelines.landscapes.noise import Floats, mix, saturate

SMALLEST, LARGEST = 64, 512
# Pictures up to this height are drawn twice as large and averaged down.
_SUPERSAMPLED = 256


class Landscape(NamedTuple):
    """A picture and what is in it.

    Attributes:
        image: uint8 `[H, W, 3]`, sRGB.
        label: uint8 `[H, W]`, ids of `CLASS_NAMES`.
        instance: uint16 `[H, W]`: a number of its own for each tree and each cloud, 0 elsewhere.
        time_of_day: one of `TIMES_OF_DAY`.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    instance: NDArray[np.uint16]
    time_of_day: str


def _draw(
    scene: layout.Scene, light: lighting.Light, rng: np.random.Generator, height: int, width: int
) -> tuple[Floats, NDArray[np.uint8], NDArray[np.uint16]]:
    label = np.empty((height, width), np.uint8)
    instance = np.zeros((height, width), np.uint16)
    out = sky.paint(scene, light, rng, label, instance)
    depth = np.full((height, width), np.inf, np.float32)
    flat, flat_label, flat_instance = out.reshape(3, -1), label.ravel(), instance.ravel()
    flat_depth = depth.ravel()
    u = np.broadcast_to(
        (np.arange(width, dtype=np.float32) + np.float32(0.5) - width / 2) / height, (height, width)
    ).ravel()

    sun = lighting.direction(scene.sun_u, scene.sun_seen, light.elevation)
    camera = land.camera_height(scene)
    seen = land.surface(scene, camera, height, width)
    flat_depth[seen.pixels] = seen.z
    flat_label[seen.pixels] = surface.materials(scene, seen)
    flat_instance[seen.pixels] = 0
    upright = objects.place(scene)
    houses = buildings.place(scene)
    shadow = objects.shadows(scene, upright, houses, sun, camera, depth).ravel()
    colour = surface.shade(scene, light, sun, seen, flat_label[seen.pixels], shadow[seen.pixels])
    flat[:, seen.pixels] = surface.haze(scene, light, u[seen.pixels], seen.z, seen.height, colour)

    for building in houses:
        at, z, colour = buildings.draw(scene, light, sun, building, camera, depth)
        high = np.full(at.shape, building.walls * 0.5, np.float32)
        flat[:, at] = surface.haze(scene, light, u[at], z, high, colour)
        flat_depth[at], flat_label[at], flat_instance[at] = z, BUILDING, 0
    drawn = objects.draw(scene, light, sun, upright, camera, depth)
    at = drawn.at
    flat[:, at] = surface.haze(scene, light, u[at], drawn.z, drawn.height, drawn.colour)
    flat_depth[at], flat_label[at], flat_instance[at] = drawn.z, drawn.label, drawn.instance

    wet = label == WATER
    if wet.any():
        mine = np.flatnonzero(flat_label[seen.pixels] == WATER)
        at = seen.pixels[mine]
        z = seen.z[mine]
        colour = water.paint(scene, light, out, wet, seen.x[mine], z, seen.shore[mine], depth)
        flat[:, at] = surface.haze(scene, light, u[at], z * np.float32(0.7), z * 0, colour)
    return out, label, instance


def vote(
    label: NDArray[np.uint8], instance: NDArray[np.uint16]
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Gives each pixel what covers most of its four quarters; the upper left one in a tie.

    Args:
        label: label ids of quarters of pixels, `[2 H, 2 W]`.
        instance: their instance ids, `[2 H, 2 W]`.

    Returns:
        Label and instance ids of pixels, `[H, W]` each.
    """
    both = label.astype(np.int32) + (instance.astype(np.int32) << 8)
    quarters = [both[i::2, j::2] for i in (0, 1) for j in (0, 1)]
    winner, votes = quarters[0], np.full(quarters[0].shape, -1, np.int8)
    for candidate in quarters:
        count = sum((candidate == other).astype(np.int8) for other in quarters)
        winner = np.where(count > votes, candidate, winner)
        votes = np.maximum(votes, count)
    return (winner & 255).astype(np.uint8), (winner >> 8).astype(np.uint16)


def _develop(light: lighting.Light, rng: np.random.Generator, colour: Floats) -> NDArray[np.uint8]:
    """Turns linear light into a photograph: shoulder, gamma, contrast, vignette and grain."""
    _, height, width = colour.shape
    knee = np.float32(0.55)
    over = np.maximum(colour - knee, 0)
    x = np.minimum(colour, knee) + over / (1 + over / (1 - knee))
    x = np.sqrt(np.maximum(x, 0))
    # A gentle S-curve.
    x = mix(x, x * x * (3 - x - x), np.float32(0.28))
    grey = 0.3 * x[0] + 0.59 * x[1] + 0.11 * x[2]
    x = grey + (x - grey) * np.float32(light.saturation)
    v = ((np.arange(height, dtype=np.float32) + 0.5) / height - 0.5)[:, None]
    u = ((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5)[None, :]
    x = x * (1.03 - 0.26 * (u * u + v * v))
    grain = noise.uniforms(rng, (2, height, width))
    x = x + (grain[0] + grain[1] - 1) * np.float32(2 * light.grain)
    return np.floor(saturate(x) * 255 + np.float32(0.5)).astype(np.uint8).transpose(1, 2, 0)


def check(seed: int, index: int, height: int, width: int) -> None:
    """Checks what `render` is asked for.

    Args:
        seed: of the data set.
        index: of the picture.
        height: rows.
        width: columns.

    Raises:
        ValueError: if an argument is out of the range that `render` states.
    """
    if not SMALLEST <= height <= LARGEST or height % 2 or width not in (height, 2 * height):
        raise ValueError(
            f"height, width: {height}, {width} received; give an even height of {SMALLEST} to "
            f"{LARGEST}, and a width of once or twice the height"
        )
    if seed < 0 or index < 0:
        raise ValueError(f"seed, index: {seed}, {index} received; give numbers of 0 or more")


def render(
    seed: int, index: int, height: int, width: int, time_of_day: str | None = None
) -> Landscape:
    """Renders one landscape.

    What is where depends on `(seed, index)` and the size only; light, season and colours come
    from a second random stream. The same arguments give the same bytes on every machine.

    Args:
        seed: of the data set, ≥ 0.
        index: of the picture, ≥ 0.
        height: rows, 64 to 512, even.
        width: columns: height, or twice that.
        time_of_day: one of `TIMES_OF_DAY`; drawn at random if None.

    Returns:
        The picture, its label map, its instance map and its time of day.

    Raises:
        ValueError: if an argument is out of range.
    """
    check(seed, index, height, width)
    if time_of_day is not None and time_of_day not in TIMES_OF_DAY:
        raise ValueError(
            f"time_of_day: {time_of_day!r} received; give one of {', '.join(TIMES_OF_DAY)}"
        )
    scene = layout.scene(seed, index)
    time, light = lighting.light(seed, index, time_of_day)
    rng = noise.stream(seed, index, 2)
    factor = 2 if height <= _SUPERSAMPLED else 1
    colour, label, instance = _draw(scene, light, rng, height * factor, width * factor)
    if factor == 2:
        # Highlights are cut first: a pixel half covered by the sun is not all sun.
        colour = np.minimum(colour, np.float32(1.5))
        colour = colour[:, ::2] + colour[:, 1::2]
        colour = (colour[:, :, ::2] + colour[:, :, 1::2]) * np.float32(0.25)
        label, instance = vote(label, instance)
    return Landscape(np.ascontiguousarray(_develop(light, rng, colour)), label, instance, time)
