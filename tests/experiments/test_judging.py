"""Scores of models whose pictures are known."""

import types

import numpy as np
import pytest
import tensorflow as tf
from cheap_judges import JUDGES, NAMES

from experiments.commands.evaluate.judging import judge, summarise
from experiments.commands.evaluate.options import Styles
from experiments.commands.evaluate.pairs import Pair, Pairs, batched
from experiments.commands.evaluate.scores import Gaussian, pixel_counts
from experiments.setup.config import ConfigError
from pipelines.schema import LabelSet
from spade_tf.metrics.frechet import frechet_distance
from spade_tf.metrics.segmentation import confusion_matrix, scores_of_counts, segmentation_scores


class Painter:
    """A model that makes pictures by a function of the map and the style."""

    labels = LabelSet(NAMES, ((0, 0, 0), (255, 255, 255), (9, 9, 9)), True, False)
    z_dim = 2
    # Blocks of four pixels.
    sizing = types.MappingProxyType({"multiple": 4})

    def __init__(self, paint):
        self.paint = paint

    def encode(self, image, label=None):
        return np.full((len(image), 2), 0.5, np.float32)

    def generate(self, maps, z):
        return np.stack(
            [
                np.stack([self.paint(label, style) for style in styles])
                for label, styles in zip(maps["label"], z, strict=True)
            ]
        )


def pairs(count=7, size=8):
    random = np.random.default_rng(0)
    for index in range(count):
        label = random.integers(0, 2, (size, size)).astype(np.int32)
        image = np.repeat((label * 155 + 50)[..., None], 3, -1) + random.integers(0, 9, 3)
        label[0, 0] = 2
        yield Pair(f"p{index}", {"label": label}, image.astype(np.uint8))


def same_as_real(label, style):
    return next(p.image for p in pairs(7) if np.array_equal(p.maps["label"], label))


def scores_of(paint, *, batch_size=3, strategy=None, style="photograph"):
    return judged(
        Painter(paint), list(pairs()), Styles(style=style), batch_size=batch_size, strategy=strategy
    )


def judged(model, given, styles, *, batch_size=3, strategy=None):
    """Numbers by picture, all scores, and pictures to show."""
    rows, gallery = judge(
        model,
        Pairs(len(given), iter(given), []),
        JUDGES,
        styles,
        batch_size=batch_size,
        strategy=strategy or tf.distribute.get_strategy(),
    )
    return rows, summarise(rows, JUDGES, 0), gallery


def scores_of_the_real(pair, kind=None):
    """The scores of a model that makes two pictures as the real ones, which are alike."""
    model = (kind or Painter)(lambda label, style: pair.image)
    return judged(model, [pair, pair], Styles(style="drawn", num_styles=1))[1]


def test_the_real_pictures_have_perfect_scores():
    _, scores, gallery = scores_of(same_as_real)
    assert scores["l1"]["value"] == scores["lpips"]["value"] == 0.0
    assert scores["lpips_styles"]["value"] == 0.0
    # Rounding of a root of a 3x3 product.
    assert scores["efficientnet_lite2"]["frechet_distance"]["value"] < 1e-6
    for kind in ("fake", "real"):
        assert scores["segmentation"][kind]["mean_iou"]["value"] == 1.0
    assert scores["sharpness"] == {"value": 1.0, "interval": [1.0, 1.0]}
    assert scores["steps"]["fake"] == scores["steps"]["real"]
    # The nearer half of seven pictures, and none of them among the farthest.
    assert [shown.distance for shown in gallery.best] == [0.0] * 4
    assert len(gallery.worst) == 3
    assert not {shown.name for shown in gallery.best} & {shown.name for shown in gallery.worst}
    assert len(gallery.styles) == 4


def test_pictures_off_by_a_constant():
    """By hand: 20 levels of 255 brighter everywhere."""
    _, scores, _ = scores_of(lambda label, style: same_as_real(label, style) + np.uint8(20))
    assert scores["l1"]["value"] == pytest.approx(20 / 255)
    # The mean moves by 20 / 127.5 in each of three features; the covariance stays.
    expected = 3 * (20 / 127.5) ** 2
    assert scores["efficientnet_lite2"]["frechet_distance"]["value"] == pytest.approx(
        expected, 1e-4
    )
    low, high = scores["l1"]["interval"]
    assert low == pytest.approx(high)


def test_a_grid_in_the_pictures_shows_in_the_steps():
    """Every other block of 4x4 is 60 levels brighter; the real pictures have no such grid."""
    board = 60 * (np.indices((8, 8)) // 4).sum(0)[..., None] % 120

    def paint(label, style):
        stripes = np.arange(8)[:, None] % 2
        return (20 + board + stripes * np.ones(3)).astype(np.uint8)

    _, scores, _ = scores_of(paint)
    # Across, steps are 1, and 59 or 61 where blocks meet. Down, the median is 0 and says nothing.
    for name, expected in (("block_border", 60.0), ("picture_border", 1.0)):
        score = scores["steps"]["fake"][name]
        assert score["value"] == pytest.approx(expected, rel=1e-5)
        # All seven pictures are the same.
        assert score["interval"] == pytest.approx([expected, expected], rel=1e-5)
    assert scores["steps"]["real"]["block_border"]["value"] < 2
    # Of 14 steps on the way across and down, one each is 60, six are 1 and six are 0.
    real = np.stack([pair.image for pair in pairs()]).astype(int)
    steps = [np.abs(np.diff(real, axis=axis)).mean() for axis in (1, 2)]
    low, high = scores["sharpness"]["interval"]
    assert scores["sharpness"]["value"] == pytest.approx((60 + 60 + 6) / 14 / np.mean(steps))
    assert low < scores["sharpness"]["value"] < high


def test_flat_pictures_have_no_steps_to_compare():
    flat = Pair("p", {"label": np.ones((8, 8), np.int32)}, np.zeros((8, 8, 3), np.uint8))
    scores = scores_of_the_real(flat)
    assert scores["sharpness"] is None
    assert scores["steps"]["fake"] == {"block_border": None, "picture_border": None}


def test_the_wrong_way_round_finds_no_class():
    _, scores, gallery = scores_of(lambda label, style: 255 - same_as_real(label, style))
    assert scores["segmentation"]["fake"]["mean_iou"]["value"] == 0.0
    assert scores["segmentation"]["real"]["mean_iou"]["value"] == 1.0
    assert gallery.worst[0].distance >= gallery.worst[-1].distance > 0


def test_a_class_that_is_nowhere_has_no_score():
    class OfThree(Painter):
        labels = LabelSet((*NAMES, "red"), ((0, 0, 0),) * 4, True, False)

    without_red = Pair("p", {"label": np.ones((8, 8), np.int32)}, np.full((8, 8, 3), 200, np.uint8))
    found = scores_of_the_real(without_red, OfThree)["segmentation"]["fake"]
    assert found["iou"] == [None, 1.0, None]
    assert found["mean_iou"]["value"] == 1.0


def test_styles_follow_the_picture_alone():
    def by_style(label, style):
        return np.clip(128 + 40 * style[0], 0, 255) * np.ones((*label.shape, 3), np.uint8)

    def paint(label, style):
        return by_style(label, style).astype(np.uint8)

    whole, _, _ = scores_of(paint, batch_size=7, style="drawn")
    parts, _, _ = scores_of(paint, batch_size=2, style="drawn")
    for name in ("l1", "lpips", "lpips_styles", "fake/counts"):
        np.testing.assert_allclose(whole[name], parts[name], rtol=1e-6)
    assert len(np.unique(whole["fake/features/efficientnet_lite2"][:, 0])) == 7
    _, scores, _ = scores_of(paint)
    assert scores["lpips_styles"]["value"] > 0


@pytest.mark.distributed
def test_two_devices_are_one(two_replicas):
    assert two_replicas.num_replicas_in_sync == 2
    one, _, _ = scores_of(same_as_real)
    two, _, _ = scores_of(same_as_real, strategy=two_replicas)
    steps = [f"{kind}/steps/{name}" for kind in ("fake", "real") for name in ("mean", "grid")]
    for name in ("l1", "lpips", "real/counts", "fake/features/efficientnet_lite2", *steps):
        np.testing.assert_allclose(one[name], two[name], rtol=1e-6, atol=1e-7)


def test_counts_are_those_of_the_confusion_matrix():
    random = np.random.default_rng(0)
    labels, found = random.integers(0, 5, (6, 9, 9)), random.integers(0, 4, (6, 9, 9))
    scores = scores_of_counts(*pixel_counts(labels, found, 4).sum(0))
    expected = segmentation_scores(confusion_matrix(labels, found, num_classes=4))
    for name in ("mean_iou", "mean_class_accuracy", "pixel_accuracy"):
        assert getattr(scores, name) == pytest.approx(getattr(expected, name))
    np.testing.assert_allclose(scores.iou, expected.iou)
    # By hand: one right of class 0, one of class 1 taken for 0; id 7 is unknown.
    counts = pixel_counts(np.array([[[0, 1, 7]]]), np.array([[[0, 0, 1]]]), 2)
    np.testing.assert_array_equal(counts, [[[1, 0], [1, 1], [2, 0]]])


@pytest.mark.parametrize(("rows", "columns"), [(40, 6), (5, 12)])
def test_distances_by_roots_are_those_by_eigenvalues(rows, columns):
    random = np.random.default_rng(0)
    a, b = random.normal(size=(rows, columns)), random.normal(0.3, 2.0, (rows, columns))
    # Eigenvalues that should be zero give roots of about 1e-8 each.
    assert Gaussian(a).distance(Gaussian(b)) == pytest.approx(frechet_distance(a, b), abs=1e-6)
    assert Gaussian(a).distance(Gaussian(a)) < 1e-12


def test_batches_hold_one_size():
    large = list(pairs(2, 16))
    sizes = [len(b.names) for b in batched(iter([*pairs(3), *large, *pairs(1)]), 2)]
    assert sizes == [2, 1, 2, 1]


def test_a_model_of_another_size_is_named():
    with pytest.raises(ConfigError, match=r"p0: the model makes 4x8 pixels .* picture has 8x8"):
        scores_of(lambda label, style: same_as_real(label, style)[:, :4])
