"""The procedural landscapes: determinism, exact labels, and light that behaves like light."""

import hashlib

import numpy as np
import pytest

from pipelines import landscapes
from pipelines.landscapes import buildings, classes, noise, objects, renderer, terrain
from pipelines.landscapes import composition as layout

SEED = 3


@pytest.fixture(scope="module")
def small():
    return [landscapes.render(SEED, index, 64, 64) for index in range(160)]


def _luminance(image):
    return image.astype(np.float64) @ np.array([0.3, 0.59, 0.11])


def test_names_and_palette_belong_together():
    assert len(landscapes.CLASS_NAMES) == len(landscapes.PALETTE) >= 10
    assert len(set(landscapes.CLASS_NAMES)) == len(landscapes.CLASS_NAMES)
    assert landscapes.CLASS_NAMES[classes.SUN] == "sun or moon"
    assert landscapes.CLASS_NAMES[classes.BUILDING] == "building"
    colours = np.array(landscapes.PALETTE)
    distance = np.abs(colours[:, None] - colours[None]).sum(-1)
    # 30 levels over three channels: told apart at a glance.
    assert (distance + 1000 * np.eye(len(colours)) >= 30).all()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 192), (128, 128)])
def test_shapes_types_and_ranges(height, width):
    drawn = landscapes.render(SEED, 1, height, width)
    assert drawn.image.shape == (height, width, 3)
    assert drawn.image.dtype == np.uint8
    assert drawn.label.shape == drawn.instance.shape == (height, width)
    assert drawn.label.dtype == np.uint8
    assert drawn.instance.dtype == np.uint16
    assert drawn.label.max() < len(landscapes.CLASS_NAMES)
    assert drawn.time_of_day in landscapes.TIMES_OF_DAY
    assert drawn.image.std() > 5


def test_largest_size():
    # Above 256 rows nothing is supersampled: another path through the code.
    drawn = landscapes.render(SEED, 2, 288, 288)
    assert drawn.image.shape == (288, 288, 3)
    assert ((drawn.instance > 0) <= np.isin(drawn.label, [classes.TREE, classes.CLOUD])).all()


def test_same_arguments_same_bytes():
    for index in (0, 7):
        first, second = (landscapes.render(SEED, index, 64, 128) for _ in range(2))
        for a, b in zip(first[:3], second[:3], strict=True):
            np.testing.assert_array_equal(a, b)
        assert first.time_of_day == second.time_of_day


def test_bytes_are_the_same_on_every_machine():
    # Arithmetic is restricted to what IEEE 754 rounds exactly, so that one digest fits all.
    # Update it together with the version of the data set, whenever a picture changes.
    digest = hashlib.sha256()
    for index in range(12):
        for array in landscapes.render(0, index, 64, 64)[:3]:
            digest.update(array.tobytes())
    assert digest.hexdigest() == "ee99a5a1429b700832c8ef61d23dc2b509d2f35b2b8827effaac3c4e9cf7f605"


def test_seed_and_index_change_the_picture():
    base = landscapes.render(SEED, 4, 64, 64).image
    assert (landscapes.render(SEED, 5, 64, 64).image != base).mean() > 0.5
    assert (landscapes.render(SEED + 1, 4, 64, 64).image != base).mean() > 0.5


def test_instances_are_trees_and_clouds(small):
    for drawn in small:
        counted = drawn.instance > 0
        countable = np.isin(drawn.label, [classes.TREE, classes.CLOUD])
        np.testing.assert_array_equal(counted, countable)


def test_an_instance_has_one_class(small):
    for drawn in small:
        pairs = {
            (int(number), int(label))
            for number, label in zip(drawn.instance.ravel(), drawn.label.ravel(), strict=True)
            if number
        }
        assert len({number for number, _ in pairs}) == len(pairs)


def test_every_class_occurs(small):
    seen = np.bincount(
        np.concatenate([drawn.label.ravel() for drawn in small]),
        minlength=len(landscapes.CLASS_NAMES),
    )
    share = seen / seen.sum()
    assert (share > 0.001).all(), dict(zip(landscapes.CLASS_NAMES, share, strict=True))


def test_every_kind_and_time_occurs(small):
    kinds = {layout.scene(SEED, index).kind for index in range(len(small))}
    assert kinds == set(layout.KINDS)
    assert {drawn.time_of_day for drawn in small} == set(landscapes.TIMES_OF_DAY)


def test_layouts_differ(small):
    assert len({drawn.label.tobytes() for drawn in small}) == len(small)


@pytest.mark.parametrize("index", [2, 9, 18])
def test_time_of_day_changes_the_light_and_not_the_layout(index):
    drawn = [
        landscapes.render(SEED, index, 64, 64, time_of_day=time) for time in landscapes.TIMES_OF_DAY
    ]
    for time, one in zip(landscapes.TIMES_OF_DAY, drawn, strict=True):
        assert one.time_of_day == time
        np.testing.assert_array_equal(one.label, drawn[0].label)
        np.testing.assert_array_equal(one.instance, drawn[0].instance)
    for i, one in enumerate(drawn):
        for other in drawn[i + 1 :]:
            assert np.abs(one.image.astype(int) - other.image.astype(int)).mean() > 4


def test_drawn_time_equals_the_same_time_given():
    drawn = landscapes.render(SEED, 11, 64, 64)
    given = landscapes.render(SEED, 11, 64, 64, time_of_day=drawn.time_of_day)
    np.testing.assert_array_equal(drawn.image, given.image)


def test_night_is_darker_than_noon():
    for index in range(8):
        noon, night = (
            _luminance(landscapes.render(SEED, index, 64, 64, time_of_day=time).image).mean()
            for time in ("noon", "night")
        )
        assert night < 0.6 * noon


def test_sun_and_moon_outshine_the_sky_around_them():
    compared = 0
    for index in range(40):
        for time in landscapes.TIMES_OF_DAY:
            drawn = landscapes.render(SEED, index, 64, 64, time_of_day=time)
            disc = drawn.label == classes.SUN
            if disc.sum() < 6:
                break
            rows, columns = np.nonzero(disc)
            near = np.zeros_like(disc)
            near[
                max(rows.min() - 4, 0) : rows.max() + 5,
                max(columns.min() - 4, 0) : columns.max() + 5,
            ] = True
            around = near & (drawn.label == classes.SKY)
            if around.sum() < 10:
                break
            light = _luminance(drawn.image)
            assert light[disc].mean() > light[around].mean()
            compared += 1
    assert compared >= 25


def test_supersampled_labels_are_voted_on():
    label = np.array([[4, 4, 1, 1], [4, 7, 8, 8], [8, 8, 2, 3], [8, 8, 5, 6]], np.uint8)
    instance = np.array([[0, 0, 1, 2], [0, 0, 9, 9], [300, 301, 0, 0], [301, 301, 0, 0]], np.uint16)
    voted_label, voted_instance = renderer.vote(label, instance)
    # Three of four; a pair of one tree against two clouds; one tree of two; a tie of four.
    np.testing.assert_array_equal(voted_label, [[4, 8], [8, 2]])
    np.testing.assert_array_equal(voted_instance, [[0, 9], [301, 0]])


def test_sky_is_above_the_ground(small):
    overhead = [classes.SKY, classes.CLOUD, classes.SUN]
    for index, drawn in enumerate(small):
        horizon = int(np.ceil(layout.scene(SEED, index).horizon * 64))
        # The last sample lies at a finite distance, up to a row below the horizon.
        below = drawn.label[horizon + 2 :]
        assert not np.isin(below, overhead).any()


def test_sizes_agree_on_the_layout():
    # The vote at 64 rows and the labels at 128 rows come from grids of different pitch, which
    # disagree at outlines only.
    for index in range(6):
        coarse = landscapes.render(SEED, index, 64, 64).label
        fine = landscapes.render(SEED, index, 128, 128).label
        assert (fine[::2, ::2] == coarse).mean() > 0.85
        wide = landscapes.render(SEED, index, 64, 128).label
        assert (wide[:, 32:96] == coarse).mean() > 0.95


def test_visible_surface_agrees_with_marching_along_rays():
    # An independent search: one ray at a time, thousands of small steps.
    scene = layout.scene(SEED, 6)
    camera = terrain.camera_height(scene)
    size = 48
    seen = terrain.surface(scene, camera, size, size)
    found = np.full(size * size, np.inf)
    found[seen.pixels] = seen.z
    z = np.exp(np.linspace(np.log(0.5 * scene.eye), np.log(terrain.FARTHEST), 6000))
    z = z.astype(np.float32)
    rng = np.random.default_rng(0)
    agreed = []
    for pixel in rng.choice(size * size, 200, replace=False):
        row, column = divmod(int(pixel), size)
        slope = (column + 0.5 - size / 2) / size * layout.FIELD
        rise = (scene.horizon - (row + 0.5) / size) * layout.FIELD
        height = np.maximum(terrain.ground(scene, np.float32(slope) * z, z).height, 0)
        hit = np.flatnonzero(camera + rise * z <= height)
        expected = z[hit[0]] if hit.size else np.inf
        if np.isinf(expected) or np.isinf(found[pixel]):
            agreed.append(expected == found[pixel])
        else:
            agreed.append(abs(found[pixel] / expected - 1) < 0.03)
    # The field is sampled every 1.1 % of distance: crests within a step may be missed.
    assert np.mean(agreed) > 0.95


def test_nearer_trees_cover_farther_ones():
    scene = layout.scene(SEED, 0)
    trees = objects.place(scene)
    assert (np.diff(trees.z) <= 0).all()
    numbers = trees.instance[trees.instance > 0]
    assert len(set(numbers.tolist())) == len(numbers)
    assert numbers.min(initial=9999) > len(scene.clouds)


def test_buildings_do_not_stand_in_each_other_or_in_the_road():
    found = 0
    for index in range(40):
        scene = layout.scene(SEED, index)
        houses = buildings.place(scene)
        found += len(houses)
        for i, house in enumerate(houses):
            for other in houses[i + 1 :]:
                assert abs(house.x - other.x) >= 1.5 or abs(house.z - other.z) >= 1.9
            if scene.road.width:
                middle = float(scene.road.middle(np.array([house.z], np.float32))[0])
                assert abs(house.x - middle) > scene.road.width
    assert found > 20


@pytest.mark.parametrize(
    ("height", "width"), [(63, 63), (62, 62), (514, 514), (128, 200), (128, 64), (65, 65)]
)
def test_other_sizes_are_refused(height, width):
    with pytest.raises(ValueError, match=f"{height}, {width} received") as error:
        landscapes.render(0, 0, height, width)
    assert "\n" not in str(error.value)


def test_other_arguments_are_refused():
    with pytest.raises(ValueError, match="noonish"):
        landscapes.render(0, 0, 64, 64, time_of_day="noonish")
    with pytest.raises(ValueError, match="-1"):
        landscapes.render(0, -1, 64, 64)
    with pytest.raises(ValueError, match="-2"):
        landscapes.render(-2, 0, 64, 64)


def test_exact_arithmetic_approximates_the_functions_it_stands_for():
    x = np.linspace(-2, 1, 61, dtype=np.float32)
    # (1 + x/256)^256 = e^x·exp(−x²/512 + …): 0.8 % at x = −2.
    np.testing.assert_allclose(noise.exp(x), np.exp(x), rtol=0.01)
    assert noise.exp(np.float32(-300)) == 0
    t = np.linspace(-1, 2, 301, dtype=np.float32)
    # Two parabolas through a sine's zeros and extremes are off by at most 0.06.
    np.testing.assert_allclose(noise.wave(t), np.sin(2 * np.pi * t), atol=0.06)


@pytest.mark.parametrize(
    "tile", [noise.fractal, noise.rolling, noise.ridged, noise.billow, noise.white]
)
def test_tiles_are_bounded_and_wrap_round(tile):
    made = tile()
    assert made.values.dtype == np.float32
    assert np.abs(made.values).max() <= 1
    at = np.linspace(0, 1, 50, dtype=np.float32)
    # Adding whole tiles moves a float32 position by up to 2^-22 of a tile, 1e-4 of an entry;
    # neighbouring entries differ by at most 2.
    np.testing.assert_allclose(
        noise.sample(made, at, at * 0.5), noise.sample(made, at + 1, at * 0.5 - 2), atol=4e-4
    )


def test_a_tile_is_looked_up_bilinearly():
    tile = noise.white()
    values = tile.values.reshape(noise.TILE, noise.TILE)
    # Between the last row and the first, and between two columns.
    row, column, below, right = noise.TILE - 1, 7, 0.25, 0.5
    upper = values[row, column] + right * (values[row, column + 1] - values[row, column])
    lower = values[0, column] + right * (values[0, column + 1] - values[0, column])
    u, v = (np.float32([at / noise.TILE]) for at in (column + right, row + below))
    expected = upper + below * (lower - upper)
    np.testing.assert_allclose(noise.sample(tile, u, v), [expected], rtol=0, atol=1e-6)


def test_ground_texture_has_no_seam_between_octaves():
    # At powers of two of the distance, one pair of scales hands over to the next.
    x = np.full(2, 0.7, np.float32)
    for power in (2.0, 4.0, 16.0):
        z = np.array([power * (1 - 1e-6), power], np.float32)
        a, b = noise.carpet(noise.rolling(), x, z, 1.0, 1.0)
        assert abs(a - b) < 1e-3
        a, b = noise.detail(noise.rolling(), x, z, z, 1.0)
        assert abs(a - b) < 1e-3
