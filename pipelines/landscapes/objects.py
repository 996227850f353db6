"""Trees and boulders: where they stand, and drawing them all in one pass."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.landscapes import noise, outlines
from pipelines.landscapes.buildings import Building
from pipelines.landscapes.classes import ROCK, TREE
from pipelines.landscapes.composition import FIELD, Scene
from pipelines.landscapes.lighting import Light, linear
from pipelines.landscapes.noise import Floats, mix, saturate, smoothstep
from pipelines.landscapes.terrain import ground

BROADLEAF, CONIFER, PALM, CACTUS, BUSH, BOULDER = range(6)
# Half width of each kind's box, in heights of the object.
_HALF_WIDTH = np.array([0.56, 0.30, 0.62, 0.40, 0.95, 0.95], np.float32)
_SMALLEST = 0.028


class Objects(NamedTuple):
    """Things that stand upright, far ones first; one entry each."""

    x: Floats
    z: Floats
    base: Floats
    size: Floats
    kind: NDArray[np.int64]
    instance: NDArray[np.uint16]
    shape: Floats


class Pixels(NamedTuple):
    """What the visible pixels of all objects look like."""

    at: NDArray[np.int64]
    label: NDArray[np.uint8]
    instance: NDArray[np.uint16]
    z: Floats
    height: Floats
    colour: Floats


_NOTHING = Pixels(
    at=np.zeros(0, np.int64),
    label=np.zeros(0, np.uint8),
    instance=np.zeros(0, np.uint16),
    z=np.zeros(0, np.float32),
    height=np.zeros(0, np.float32),
    colour=np.zeros((3, 0), np.float32),
)


def place(scene: Scene) -> Objects:
    """Chooses where trees and boulders stand, in any picture of the scene."""
    rng = noise.stream(scene.objects_seed, 0)
    cover = scene.cover
    wanted = cover.trees + cover.bushes + cover.boulders
    tries = 6 * wanted + 24
    r = noise.uniforms(rng, (6, tries))
    shape = noise.uniforms(rng, (tries, 3 * outlines.CLUMPS))
    turn = np.arange(tries) % (wanted or 1)
    boulder = turn >= cover.trees + cover.bushes
    bush = (turn >= cover.trees) & ~boulder
    nearest = np.where(boulder | bush, np.float32(1.7), np.float32(2.6)) + np.float32(scene.eye)
    z = nearest * noise.exp(np.sqrt(r[0]) * np.float32(2.5))
    x = (r[1] * 2 - 1) * np.float32(FIELD * 1.15) * z
    land = ground(scene, x, z)
    grove = noise.sample(noise.fractal(), x / 26 + 0.4, z / 26)
    palm = r[2] < cover.palms
    sand = land.shore < cover.beach * 1.3
    good = (land.shore > 0.12) & (land.massif < 0.5 + 0.3 * scene.terrain.mountains)
    good &= boulder | bush | (grove > cover.grove)
    good &= boulder | (palm & ~bush) | ~sand | (cover.sandiness > 0)
    if cover.snow_line > 0:
        good &= boulder | (land.height < cover.snow_line * 0.9)
    if scene.road.width:
        good &= np.abs(x - scene.road.middle(z)) > scene.road.width * 1.5 + 0.15
    kind = np.where(r[3] < cover.conifers, CONIFER, BROADLEAF)
    kind = np.where(r[5] < cover.cacti, CACTUS, kind)
    kind = np.where(palm, PALM, kind)
    kind = np.where(bush, BUSH, kind)
    kind = np.where(boulder, BOULDER, kind)
    size = np.float32(cover.tree_height) * (0.6 + 0.75 * r[4])
    size = np.where(kind == CONIFER, size * 1.15, size)
    size = np.where(kind == CACTUS, size * 0.45, size)
    size = np.where(bush, 0.10 + 0.25 * r[4] * r[4], size)
    size = np.where(boulder, 0.08 + 0.62 * r[4] * r[4] * r[4], size).astype(np.float32)

    trees = np.flatnonzero(good & ~boulder & ~bush)[: cover.trees]
    bushes = np.flatnonzero(good & bush)[: cover.bushes]
    rocks = np.flatnonzero(good & boulder)[: cover.boulders]
    kept = np.concatenate([trees, bushes, rocks])
    kept = kept[np.argsort(-z[kept], kind="stable")]
    # Clouds are counted first.
    first = len(scene.clouds) + 1
    is_tree = kind[kept] != BOULDER
    instance = np.where(is_tree, np.cumsum(is_tree) + first - 1, 0).astype(np.uint16)
    return Objects(
        x[kept], z[kept], land.height[kept], size[kept], kind[kept], instance, shape[kept]
    )


def _boxes(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    top: NDArray[np.int64],
    bottom: NDArray[np.int64],
    height: int,
    width: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Lists the pixels of boxes, box after box: owner, row and column of each."""
    left, right = np.maximum(left, 0), np.minimum(right, width)
    top, bottom = np.maximum(top, 0), np.minimum(bottom, height)
    wide, tall = np.maximum(right - left, 0), np.maximum(bottom - top, 0)
    area = wide * tall
    owner = np.repeat(np.arange(len(area)), area)
    start = np.cumsum(area) - area
    inner = np.arange(owner.size) - start[owner]
    w = wide[owner]
    return owner, top[owner] + inner // w, left[owner] + inner % w


def _project(
    scene: Scene, objects: Objects, camera: float, height: int, width: int
) -> tuple[Floats, Floats, Floats]:
    scale = np.float32(height / FIELD) / objects.z
    column = objects.x * scale + np.float32(width / 2)
    row = np.float32(scene.horizon * height) - (objects.base - np.float32(camera)) * scale
    return column, row, objects.size * scale


def shadows(
    scene: Scene,
    objects: Objects,
    houses: tuple[Building, ...],
    sun: Floats,
    camera: float,
    depth: Floats,
) -> Floats:
    """Returns the share of direct light that reaches each pixel past what stands, `[H, W]`."""
    if houses:
        # Their ground plan is what counts; an entry of the kind BOULDER has the spread for it.
        extra = np.array([(b.x, b.z, b.base + 0.05, 0.75 * b.length) for b in houses], np.float32)
        objects = objects._replace(
            x=np.concatenate([objects.x, extra[:, 0]]),
            z=np.concatenate([objects.z, extra[:, 1]]),
            base=np.concatenate([objects.base, extra[:, 2]]),
            size=np.concatenate([objects.size, extra[:, 3]]),
            kind=np.concatenate([objects.kind, np.full(len(houses), BOULDER)]),
        )
    height, width = depth.shape
    out = np.ones(depth.size, np.float32)
    column, row, size = _project(scene, objects, camera, height, width)
    visible = size > _SMALLEST * height
    spread = np.where(objects.kind >= BUSH, np.float32(0.75), np.float32(0.42))
    half_w = size * spread * np.float32(1 + 0.6 * abs(float(sun[0])) / float(sun[1]))
    squash = np.float32(1.3 * scene.eye) / objects.z + np.float32(0.04)
    half_h = np.maximum(size * spread * squash, 0.6)
    column = column - np.float32(np.sign(sun[0])) * half_w * np.float32(0.55)
    half_w = np.where(visible, half_w, 0)
    owner, r, c = _boxes(
        (column - half_w).astype(np.int64),
        (column + half_w + 1).astype(np.int64) * visible,
        (row - half_h).astype(np.int64),
        (row + half_h + 1).astype(np.int64),
        height,
        width,
    )
    du = (c + np.float32(0.5) - column[owner]) / half_w[owner]
    dv = (r + np.float32(0.5) - row[owner]) / half_h[owner]
    dark = saturate((1 - du * du - dv * dv) * 1.6)
    at = r * width + c
    near = np.abs(depth.ravel()[at] - objects.z[owner]) < objects.size[owner] * 2.5
    np.minimum.at(out, at[near], (1 - 0.72 * dark[near]).astype(np.float32))
    return out.reshape(height, width)


def _seen(
    owner: NDArray[np.int64],
    at: NDArray[np.int64],
    kind: NDArray[np.int64],
    shape: Floats,
    u: Floats,
    v: Floats,
    leaf: Floats,
    size: int,
) -> tuple[NDArray[np.int64], NDArray[np.bool_], Floats, Floats, Floats] | None:
    """Returns which candidates are seen, each pixel once: index, stem, normal, depth inside."""
    parts = []
    for number, outline in enumerate(outlines.OUTLINES):
        mine = np.flatnonzero(kind == number)
        if not mine.size:
            continue
        shown = outline(shape[owner[mine]], u[mine], v[mine], leaf[mine])
        seen = np.flatnonzero(shown.body | shown.stem)
        parts.append((mine[seen], *(field[seen] for field in shown[1:])))
    if not parts:
        return None
    px, stem, nx, ny, inner = (np.concatenate(p) for p in zip(*parts, strict=True))
    # Far to near, then the last entry of each pixel is the one seen.
    order = np.argsort(owner[px], kind="stable")
    px, stem, nx, ny, inner = px[order], stem[order], nx[order], ny[order], inner[order]
    winner = np.full(size, -1, np.int64)
    np.maximum.at(winner, at[px], np.arange(px.size))
    last = winner[winner >= 0]
    return px[last], stem[last], nx[last], ny[last], inner[last]


def _albedo(
    scene: Scene,
    light: Light,
    what: NDArray[np.int64],
    hue: Floats,
    stem: NDArray[np.bool_],
    up: Floats,
) -> Floats:
    """Returns the colour of objects under white light, `[3, N]`; snow lies on what faces up."""
    leaves = mix(light.foliage[0][:, None], light.foliage[1][:, None], hue[None])
    needles = light.conifer[:, None] * (0.8 + 0.5 * hue)[None]
    fronds = mix(light.conifer, light.grass, 0.5)[:, None] * (0.9 + 0.3 * hue)[None]
    albedo = np.where(what == CONIFER, needles, leaves)
    albedo = np.where((what == PALM) | (what == CACTUS), fronds, albedo)
    albedo = np.where((what == BOULDER), light.rock[:, None] * (0.75 + 0.5 * hue)[None], albedo)
    albedo = np.where(stem, linear(112, 88, 68)[:, None] * (0.7 + 0.6 * hue)[None], albedo)
    if scene.cover.snow_line < 0:
        snow = smoothstep(0.15, 0.6, up) * ~stem * 0.8
        albedo = mix(albedo, linear(236, 240, 248)[:, None], snow[None])
    return albedo


def draw(
    scene: Scene, light: Light, sun: Floats, objects: Objects, camera: float, depth: Floats
) -> Pixels:
    """Draws all objects; nearer ones cover farther ones, terrain and buildings included.

    Args:
        scene: the scene.
        light: the light.
        sun: unit vector towards the light.
        objects: far ones first.
        camera: height of the camera.
        depth: distance of what is already in the picture, `[H, W]`.

    Returns:
        The pixels, each at most once.
    """
    height, width = depth.shape
    column, row, size = _project(scene, objects, camera, height, width)
    half = np.where(size > _SMALLEST * height, size * _HALF_WIDTH[objects.kind], 0)
    row = row + size * np.float32(0.02)
    owner, r, c = _boxes(
        (column - half).astype(np.int64),
        np.where(half > 0, (column + half + 1).astype(np.int64), -1),
        (row - size * 1.08).astype(np.int64),
        (row + 1).astype(np.int64),
        height,
        width,
    )
    at = r * width + c
    free = np.flatnonzero(depth.ravel()[at] > objects.z[owner] * np.float32(0.985))
    owner, at = owner[free], at[free]
    u = (c[free] + np.float32(0.5) - column[owner]) / size[owner]
    v = (row[owner] - r[free] - np.float32(0.5)) / size[owner]
    kind = objects.kind[owner]
    shape = objects.shape
    leaf = noise.sample(noise.fractal(), u * 1.5 + shape[owner, 0], v * 1.5 + shape[owner, 1])

    seen = _seen(owner, at, kind, shape, u, v, leaf, depth.size)
    if seen is None:
        return _NOTHING
    px, stem, nx, ny, inner = seen
    own = owner[px]
    boulder = objects.kind[own] == BOULDER

    nx, ny = np.minimum(np.maximum(nx, -1), 1), np.minimum(np.maximum(ny, -1), 1)
    nz = np.sqrt(np.maximum(1.05 - 0.5 * nx * nx - 0.5 * ny * ny, 0.05))
    facing = (nx * sun[0] + ny * sun[1] - nz * sun[2]) / np.sqrt(nx * nx + ny * ny + nz * nz)
    # Leaves let some light through.
    diffuse = np.where(boulder, saturate(facing), saturate(0.30 + 0.75 * facing))
    single = noise.sample(noise.white(), u[px] * 0.14 + shape[own, 3], v[px] * 0.14 + shape[own, 4])
    texture = (
        1
        + 0.28 * single
        + np.where(boulder, 0.6, 1.6) * leaf[px]
        + np.where(boulder, 0, 0.45 * (inner - 0.5))
    )
    rooted = smoothstep(-0.1, 0.55, v[px])
    fill = (0.45 + 0.35 * saturate(0.5 + 0.5 * ny)) * (0.55 + 0.45 * rooted)
    diffuse = diffuse * (0.35 + 0.65 * rooted)

    albedo = _albedo(scene, light, objects.kind[own], shape[own, 20], stem, ny + 1.4 * leaf[px])
    albedo = albedo * np.maximum(texture, 0.15)[None]
    lit = light.direct[:, None] * (1.15 * diffuse)[None] + light.ambient[:, None] * fill[None]
    return Pixels(
        at=at[px],
        label=np.where(boulder, ROCK, TREE).astype(np.uint8),
        instance=objects.instance[own],
        z=objects.z[own],
        height=objects.base[own] + v[px] * objects.size[own],
        colour=(albedo * lit).astype(np.float32),
    )
