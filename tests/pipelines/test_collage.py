"""Canvases of hand-made maps, for which the right segment is known."""

import numpy as np
import pytest

from pipelines.collage.bank import MAX_SIDE, BankBuilder, fitted
from pipelines.collage.canvas import compose, layers
from pipelines.collage.regions import connected, find_regions, neighbours
from pipelines.collage.storage import load_bank, save_bank
from pipelines.schema import DataError

SIZE = 32
RED, GREEN, BLUE, GREY = (200, 0, 0), (0, 200, 0), (0, 0, 200), (90, 90, 90)


def disc(radius=8, at=(16, 16)):
    rows, columns = np.indices((SIZE, SIZE))
    return (rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= radius**2


def rectangle(top, left, bottom, right):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[top:bottom, left:right] = True
    return mask


def labelled(mask, inside=1, outside=0):
    return np.where(mask, inside, outside).astype(np.uint8)


def painted(label, *colors):
    return np.array(colors, np.uint8)[label]


def bank_of(*pictures, num_labels=4, size=100, seed=0):
    builder = BankBuilder(num_labels, size, seed)
    for number, (image, label) in enumerate(pictures):
        builder.add(number, image, label)
    return builder.finish()


def by_flood_fill(ids):
    """Regions of equal ids that touch at sides or corners, pixel by pixel."""
    numbers, count = np.full(ids.shape, -1), 0
    for start in np.ndindex(ids.shape):
        if numbers[start] >= 0:
            continue
        waiting = [start]
        while waiting:
            row, column = waiting.pop()
            numbers[row, column] = count
            for other in np.ndindex(3, 3):
                place = row + other[0] - 1, column + other[1] - 1
                if min(place) < 0 or place[0] >= ids.shape[0] or place[1] >= ids.shape[1]:
                    continue
                if numbers[place] < 0 and ids[place] == ids[row, column]:
                    waiting.append(place)
        count += 1
    return numbers


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (17, 23)])
@pytest.mark.parametrize("count", [2, 5])
def test_regions_are_those_of_a_flood_fill(shape, count):
    ids = np.random.default_rng(0).integers(0, count, shape)
    np.testing.assert_array_equal(connected(ids), by_flood_fill(ids))


def test_a_spiral_is_one_region():
    ids = np.zeros((15, 15), int)
    for ring in range(0, 7, 2):
        ids[ring, ring : 15 - ring] = ids[ring : 15 - ring, 14 - ring] = 1
        ids[14 - ring, ring : 15 - ring] = ids[ring + 2 : 15 - ring, ring] = 1
        ids[ring + 2, ring : ring + 2] = 1
    np.testing.assert_array_equal(connected(ids), by_flood_fill(ids))


def test_what_is_known_of_a_region():
    label = labelled(rectangle(12, 14, 15, 20))
    regions = find_regions(label)
    assert regions.labels.tolist() == [0, 1]
    assert regions.boxes.tolist() == [[0, 0, SIZE, SIZE], [12, 14, 15, 20]]
    assert regions.areas.tolist() == [SIZE * SIZE - 18, 18]
    assert regions.sides.tolist() == [SIZE, 6]
    assert regions.mask(1).shape == (3, 6)
    assert regions.mask(1).all()
    # In its square frame the rectangle is a band of half the height.
    shape = regions.shapes[1].reshape(16, 16)
    assert shape.all(axis=1).tolist() == [False] * 4 + [True] * 8 + [False] * 4
    around = regions.surroundings[1].reshape(16, 16)
    assert (around[0] == 0).all()
    assert (around[8, 2:-2] == 1).all()
    # The frame of the background is as wide as the picture and reaches beyond it.
    assert (regions.surroundings[0].reshape(16, 16)[0] == 65535).all()
    assert neighbours(regions.numbers).tolist() == [[0, 1]]


def test_instances_of_a_class_are_regions_of_their_own():
    label = labelled(rectangle(4, 4, 8, 12))
    instance = np.zeros_like(label)
    instance[:, 8:] = 1
    # The background has two halves too.
    assert find_regions(label).labels.tolist() == [0, 1]
    assert sorted(find_regions(label, instance).labels.tolist()) == [0, 0, 1, 1]


@pytest.mark.parametrize("wanted", ["disc", "bar"])
def test_a_disc_is_taken_for_a_disc_and_a_bar_for_a_bar(wanted):
    shapes = {"disc": disc(), "bar": rectangle(14, 4, 18, 28)}
    colors = {"disc": RED, "bar": GREEN}
    bank = bank_of(
        *(
            (painted(labelled(mask), GREY, colors[name]), labelled(mask))
            for name, mask in shapes.items()
        )
    )
    # Elsewhere, and of another size.
    asked = {"disc": disc(6, (10, 20)), "bar": rectangle(20, 2, 23, 21)}[wanted]
    canvas = compose(bank, labelled(asked))[..., :3]
    found = {name: (canvas == color).all(-1).sum() for name, color in colors.items()}
    # A disc of another size does not have just the same pixels.
    assert found.pop(wanted) == pytest.approx(asked.sum(), rel=0.1)
    assert list(found.values()) == [0]


def test_surroundings_decide_between_two_equal_shapes():
    on_zero, on_two = labelled(disc()), labelled(disc(), outside=2)
    bank = bank_of(
        (painted(on_zero, GREY, RED, BLUE), on_zero), (painted(on_two, GREY, GREEN, BLUE), on_two)
    )
    assert (compose(bank, on_zero)[16, 16, :3] == RED).all()
    assert (compose(bank, on_two)[16, 16, :3] == GREEN).all()


def test_size_decides_between_two_shapes_that_are_equal_otherwise():
    large, small = labelled(disc(12)), labelled(disc(4))
    bank = bank_of((painted(large, GREY, RED), large), (painted(small, GREY, GREEN), small))
    assert (compose(bank, labelled(disc(11)))[16, 16, :3] == RED).all()
    assert (compose(bank, labelled(disc(5)))[16, 16, :3] == GREEN).all()


def test_a_training_picture_gets_no_segment_of_its_own():
    label = labelled(disc())
    bank = bank_of((painted(label, GREY, RED), label), (painted(label, BLUE, GREEN), label))
    for number, colors in ((0, (BLUE, GREEN)), (1, (GREY, RED))):
        canvas = compose(bank, label, exclude=number)
        np.testing.assert_array_equal(canvas[..., :3], painted(label, *colors))
    alone = bank_of((painted(label, GREY, RED), label))
    assert not compose(alone, label, exclude=0).any()


def test_a_class_that_the_bank_lacks_is_marked_as_missing():
    other = labelled(disc(), inside=2)
    canvas = compose(bank_of((painted(other, GREY, RED, GREEN), other)), labelled(disc()))
    assert (canvas[disc()] == 0).all()
    assert (canvas[~disc()] == (*GREY, 255)).all()


def test_a_segment_that_goes_beyond_its_region_covers_what_is_missing():
    bank = bank_of((np.full((SIZE, SIZE, 3), 7, np.uint8), np.zeros((SIZE, SIZE), np.uint8)))
    # The background of the bank has no hole: it lies below the disc, too.
    assert (compose(bank, labelled(disc())) == (7, 7, 7, 255)).all()


def random_picture(seed):
    random = np.random.default_rng(seed)
    label = np.kron(random.integers(0, 4, (8, 8)), np.ones((4, 4), int))
    return random.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8), label


def test_a_picture_of_the_bank_comes_back_exactly():
    pictures = [random_picture(seed) for seed in range(4)]
    bank = bank_of(*pictures)
    for image, label in pictures:
        canvas = compose(bank, label)
        np.testing.assert_array_equal(canvas[..., :3], image)
        assert (canvas[..., 3] == 255).all()


def test_what_is_inside_another_lies_before_it():
    """A disc on the background, and a hole in it: background, disc, what is in the hole."""
    label = labelled(disc(12))
    label[disc(5)] = 2
    bank = bank_of((painted(label, GREY, RED, GREEN), label))
    assert bank.before[1, 0] == bank.before[2, 1] == 1
    assert bank.before[0, 1] == bank.before[1, 2] == -1
    regions = find_regions(label)
    assert regions.labels[layers(bank, regions)].tolist() == [0, 1, 2]


def test_the_front_hides_the_back():
    """Classes 1 and 2 overlap in their boxes; the training map has 2 within 1."""
    inside = labelled(disc(12))
    inside[disc(5)] = 2
    # A bank whose segments of 1 and 2 fill their boxes.
    block = labelled(rectangle(8, 8, 24, 24), inside=1)
    other = labelled(rectangle(8, 8, 24, 24), inside=2)
    bank = bank_of(
        (painted(block, GREY, RED, BLUE), block), (painted(other, GREY, BLUE, GREEN), other)
    )._replace(before=bank_of((painted(inside, GREY, RED, GREEN), inside)).before)
    canvas = compose(bank, inside)
    assert (canvas[16, 16, :3] == GREEN).all()
    assert (canvas[6, 16, :3] == RED).all()
    behind = compose(bank._replace(before=-bank.before), inside)
    # The background, which comes last, has no hole in its box.
    assert (behind[..., :3] != GREEN).any(-1).all()


def test_larger_regions_of_a_class_come_first():
    label = labelled(rectangle(2, 2, 6, 6) | rectangle(10, 10, 30, 30))
    regions = find_regions(label)
    order = [regions.areas[i] for i in layers(bank_of((painted(label, GREY, RED), label)), regions)]
    assert order == sorted(order, reverse=True)


def test_a_full_bank_keeps_a_sample_that_the_seed_decides():
    pictures = [random_picture(seed) for seed in range(12)]

    def kept(seed):
        bank = bank_of(*pictures, size=5, seed=seed)
        return [(label, some.pictures.tolist()) for label, some in bank.segments.items()]

    assert all(len(pictures) == 5 for _, pictures in kept(0))
    assert kept(0) == kept(0) != kept(1)


def test_large_segments_are_likelier_to_be_kept():
    """Of a side of 16 and one of 1, weighted by sides, one is kept: 16 times in 17."""
    label = labelled(rectangle(0, 0, 16, 16))
    label[30, 30] = 1
    kept = []
    for seed in range(300):
        bank = bank_of((painted(label, GREY, RED), label), size=1, seed=seed)
        kept.append(bank.segments[1].sides[0])
    # Within four standard deviations: 300 p = 282, sqrt(300 p (1 - p)) = 4.1.
    assert abs(kept.count(16) - 282) < 17


def test_a_segment_that_is_scaled_takes_no_colour_from_beside_it():
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., :3] = BLUE
    pixels[:, :4] = (*RED, 255)
    for size in ((3, 5), (16, 20)):
        scaled = fitted(pixels, *size)
        covered = scaled[..., 3] == 255
        assert set(np.unique(scaled[..., 3])) == {0, 255}
        assert covered.mean() == pytest.approx(0.5, abs=0.1)
        # Weighing by opacity rounds.
        assert np.abs(scaled[covered][:, :3].astype(int) - RED).max() <= 2
    assert fitted(pixels, 8, 8) is pixels


def test_large_segments_are_kept_smaller():
    label = np.zeros((2 * MAX_SIDE, 8), np.uint8)
    image = np.full((*label.shape, 3), 50, np.uint8)
    (pixels,) = bank_of((image, label)).segments[0].pixels
    assert pixels.shape == (MAX_SIDE, 4, 4)
    assert (compose(bank_of((image, label)), label) == (50, 50, 50, 255)).all()


def test_a_bank_comes_back_from_its_file(tmp_path):
    pictures = [random_picture(seed) for seed in range(3)]
    bank = bank_of(*pictures)
    save_bank(bank, tmp_path)
    for label in (pictures[0][1], random_picture(9)[1]):
        np.testing.assert_array_equal(
            compose(load_bank(tmp_path), label, exclude=1), compose(bank, label, exclude=1)
        )
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    for said in ("BadZipFile", "FileNotFoundError"):
        with pytest.raises(DataError, match=rf"bank\.npz: cannot be read \({said}\); remove"):
            load_bank(tmp_path)
        file.unlink(missing_ok=True)


@pytest.mark.parametrize(("options", "said"), [({"size": 0}, "bank_size: 0"), ({"seed": -1}, "-1")])
def test_bad_arguments_are_refused(options, said):
    with pytest.raises(DataError, match=rf"{said} received; give"):
        bank_of(**options)
