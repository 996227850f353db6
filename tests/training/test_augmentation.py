import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.semantics import Semantics
from spade_tf.training import augmentation

SIZE = (16, 24)
OPERATIONS = [
    augmentation.color,
    augmentation.translation,
    augmentation.cutout,
    lambda x, seed: augmentation.make_augment(augmentation.POLICIES)(
        Semantics(1, label=tf.zeros(x.shape[:3], tf.int32)), x, seed
    )[1],
]


def images(batch=6, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.uniform(-1, 1, (batch, *SIZE, 3)).astype(np.float32))


def seed(number=0):
    return tf.constant([number, 7], tf.int32)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_seed_alone_decides(operation):
    x = images()
    results = []
    for global_seed in (1, 2):
        tf.random.set_seed(global_seed)
        results.append(operation(x, seed()).numpy())
    np.testing.assert_array_equal(*results)
    assert results[0].shape == x.shape
    assert np.abs(results[0] - operation(x, seed(1)).numpy()).max() > 0.1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_real_and_fake_get_the_same_operation(operation):
    # All operations are affine in the picture for a given seed: a difference of two pictures
    # shows the linear part, which must not depend on the pictures.
    real, fake, other = images(seed=1), images(seed=2), images(seed=3)

    def apply(x):
        return operation(x, seed()).numpy()

    # Three sums of float32 numbers of at most 6.
    np.testing.assert_allclose(
        apply(real) - apply(fake), apply(real - fake + other) - apply(other), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_gradients_reach_the_pictures_in_a_graph(operation, dtype):
    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(operation(x, seed())))
        return tape.gradient(loss, x)

    result = gradient(tf.cast(images(), dtype))
    assert result.dtype == dtype
    assert np.isfinite(result.numpy().astype(np.float32)).all()
    assert (np.abs(result.numpy().astype(np.float32)).reshape(6, -1).max(axis=1) > 0).all()


def test_gradient_of_a_linear_operation_is_its_transpose():
    x, y = images(seed=1), images(seed=2)
    for operation in (augmentation.translation, augmentation.cutout):
        with tf.GradientTape() as tape:
            tape.watch(x)
            product = tf.reduce_sum(operation(x, seed()) * y)
        adjoint = tape.gradient(product, x)
        # Two orders of summing 7,000 products of at most 1.
        np.testing.assert_allclose(tf.reduce_sum(adjoint * x), product, rtol=1e-4)


def test_translation_moves_by_whole_pixels_within_an_eighth():
    number = np.arange(1, SIZE[0] * SIZE[1] + 1, dtype=np.float32).reshape(SIZE)
    x = tf.constant(np.tile(number[None, ..., None], (400, 1, 1, 1)))
    moved = augmentation.translation(x, seed()).numpy()[..., 0]
    shifts = set()
    for picture in moved:
        row, column = np.argwhere(picture > 0)[0]
        source_row, source_column = divmod(int(picture[row, column]) - 1, SIZE[1])
        down, right = row - source_row, column - source_column
        shifts.add((down, right))
        expected = np.zeros_like(number)
        to = tuple(
            slice(max(s, 0), n + min(s, 0)) for s, n in zip((down, right), SIZE, strict=True)
        )
        of = tuple(
            slice(max(-s, 0), n - max(s, 0)) for s, n in zip((down, right), SIZE, strict=True)
        )
        expected[to] = number[of]
        np.testing.assert_array_equal(picture, expected)
    # ±2 of 16 rows and ±3 of 24 columns: 35 places, of which 400 draws miss few.
    assert {abs(down) for down, _ in shifts} == {0, 1, 2}
    assert {abs(right) for _, right in shifts} == {0, 1, 2, 3}
    assert len(shifts) > 30


def test_cutout_cuts_one_rectangle_of_half_the_size():
    cut = augmentation.cutout(tf.ones((200, *SIZE, 3)), seed()).numpy()
    assert set(np.unique(cut)) == {0, 1}
    heights, widths = set(), set()
    for picture in cut[..., 0] == 0:
        rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
        assert picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert picture.sum() == len(rows) * len(columns)
        heights.add(len(rows))
        widths.add(len(columns))
    # Cut off at the edges of the picture, at least half of it remains.
    assert (min(heights), max(heights)) == (4, 8)
    assert (min(widths), max(widths)) == (6, 12)


def test_color_by_hand():
    x = images(batch=1).numpy().astype(np.float64)
    seeds = tf.random.split(seed(), 3)
    draws = [
        tf.random.stateless_uniform((1, 1, 1, 1), seeds[i], low, high).numpy()
        for i, (low, high) in enumerate(((-0.5, 0.5), (0, 2), (0.5, 1.5)))
    ]
    expected = x + draws[0]
    mean = expected.mean(-1, keepdims=True)
    expected = mean + (expected - mean) * draws[1]
    expected = expected.mean() + (expected - expected.mean()) * draws[2]
    result = augmentation.color(tf.constant(x, tf.float32), seed())
    # A mean of 1,152 float32 numbers.
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)


def test_each_picture_has_a_draw_of_its_own():
    x = tf.tile(images(batch=1), [4, 1, 1, 1])
    for operation in OPERATIONS:
        result = operation(x, seed()).numpy()
        assert len({picture.tobytes() for picture in result}) > 1


@pytest.mark.parametrize("operation", [augmentation.translation, augmentation.cutout])
def test_ratio_of_nothing_changes_nothing(operation):
    x = images()
    np.testing.assert_array_equal(operation(x, seed(), ratio=0.0), x)
    with pytest.raises(ValueError, match=r"ratio must be from 0 to 1: received 1\.5"):
        operation(x, seed(), ratio=1.5)


@pytest.mark.parametrize("dense", [True, False])
def test_the_label_map_moves_with_the_picture(dense):
    label = tf.constant(np.random.default_rng(0).integers(0, 5, (4, *SIZE)), tf.int32)
    edges = label == 3
    semantics = Semantics(5, label=label, edges=edges)
    if dense:
        semantics = Semantics(5, dense=semantics.dense)
    # A picture that shows its label map, and is nowhere zero.
    picture = tf.cast(label, tf.float32)[..., None] + 1
    moved, image = augmentation.make_augment(["translation"])(semantics, picture, seed())
    shown = image.numpy()[..., 0]
    ids = tf.argmax(moved.dense[..., :5], -1).numpy()
    assert (shown == 0).any()
    np.testing.assert_array_equal(ids[shown > 0] + 1, shown[shown > 0])
    np.testing.assert_array_equal(moved.dense[..., 5].numpy() == 1, ids == 3)
    assert moved.shape == (4, *SIZE)
    for policies in ([], ["color", "cutout"]):
        same, _ = augmentation.make_augment(policies)(semantics, picture, seed())
        assert same is semantics


def test_a_policy_that_there_is_none_of():
    with pytest.raises(ValueError, match="policy must be one of color, translation, cutout"):
        augmentation.make_augment(["color", "flip"])
