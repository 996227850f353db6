import keras
import numpy as np
import pytest
import tensorflow as tf
from small_networks import make_small, small_batch

from spade_tf.layers.semantics import Semantics
from spade_tf.training import augmentation
from spade_tf.training.options import LossWeights, Updates

SIZE = (16, 24)
OPERATIONS = [
    lambda x, draws: augmentation.color(x, draws[:, :3]),
    lambda x, draws: augmentation.translation(x, draws[:, 3:5]),
    lambda x, draws: augmentation.cutout(x, draws[:, 5:]),
    lambda x, draws: augmentation.DiffAugment(augmentation.POLICIES)(
        Semantics(1, label=tf.zeros(x.shape[:3], tf.int32)), x, draws
    )[1],
]
COMBINATIONS = [["color"], ["translation"], ["cutout"], list(augmentation.POLICIES)]


def images(batch=6, seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.uniform(-1, 1, (batch, *SIZE, 3)).astype(np.float32))


def uniform(batch=6, seed=0, count=7):
    return tf.constant(np.random.default_rng(seed).random((batch, count), np.float32))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_real_and_fake_get_the_same_operation(operation):
    # All operations are affine in the picture for given numbers: a difference of two pictures
    # shows the linear part, which must not depend on the pictures.
    real, fake, other = images(seed=1), images(seed=2), images(seed=3)

    def apply(x):
        return operation(x, uniform()).numpy()

    # Three sums of float32 numbers of at most 6.
    np.testing.assert_allclose(
        apply(real) - apply(fake), apply(real - fake + other) - apply(other), rtol=0, atol=1e-5
    )
    assert np.abs(apply(real) - operation(real, uniform(seed=1)).numpy()).max() > 0.1


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_gradients_reach_the_pictures_in_a_graph(operation, dtype):
    @tf.function(autograph=False)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(operation(x, uniform())))
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
            product = tf.reduce_sum(operation(x, uniform(count=2)) * y)
        adjoint = tape.gradient(product, x)
        # Two orders of summing 7,000 products of at most 1.
        np.testing.assert_allclose(tf.reduce_sum(adjoint * x), product, rtol=1e-4)


@pytest.mark.parametrize(
    ("u", "down", "right"), [((0.0, 0.0), -2, -3), ((0.5, 0.999), 0, 3), ((0.99, 0.3), 2, -1)]
)
def test_translation_by_hand(u, down, right):
    """±2 of 16 rows and ±3 of 24 columns: floor(5 u) - 2 and floor(7 u) - 3."""
    x = images(batch=1).numpy()
    # Another way to move a picture: into the middle of zeros, and cut out of it elsewhere.
    wide = np.pad(x, [(0, 0), (8, 8), (8, 8), (0, 0)])
    expected = wide[:, 8 - down : 24 - down, 8 - right : 32 - right]
    np.testing.assert_array_equal(augmentation.translation(x, tf.constant([u])), expected)


def test_translation_reaches_every_shift_and_none_beyond():
    x = np.zeros((700, *SIZE, 1), np.float32)
    x[:, 8, 12] = 1
    moved = augmentation.translation(tf.constant(x), uniform(700, count=2)).numpy()
    shifts = np.argwhere(moved[..., 0] == 1)[:, 1:] - [8, 12]
    assert {tuple(shift) for shift in shifts} == {
        (down, right) for down in range(-2, 3) for right in range(-3, 4)
    }
    largest = np.float32(1) - np.float32(2**-24)
    moved = augmentation.translation(tf.constant(x[:1]), tf.constant([[largest, largest]]))
    assert moved.numpy()[0, 10, 15, 0] == 1


@pytest.mark.parametrize(
    ("u", "rows", "columns"),
    [
        ((0.5, 0.5), slice(4, 12), slice(6, 18)),
        ((0.0, 0.99), slice(0, 4), slice(17, 24)),
        ((0.75, 0.0), slice(8, 16), slice(0, 6)),
    ],
)
def test_cutout_by_hand(u, rows, columns):
    """8 of 16 rows from floor(16 u) - 4, 12 of 24 columns from floor(24 u) - 6."""
    expected = images(batch=1).numpy()
    expected[:, rows, columns] = 0
    np.testing.assert_array_equal(augmentation.cutout(images(batch=1), tf.constant([u])), expected)


def test_color_by_hand():
    x, u = images(batch=1).numpy().astype(np.float64), uniform(1).numpy()[0].astype(np.float64)
    expected = x + (u[0] - 0.5)
    mean = expected.mean(-1, keepdims=True)
    expected = mean + (expected - mean) * 2 * u[1]
    expected = expected.mean() + (expected - expected.mean()) * (0.5 + u[2])
    result = augmentation.color(tf.constant(x, tf.float32), uniform(1)[:, :3])
    # A mean of 1,152 float32 numbers.
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)


def test_the_policies_take_numbers_of_their_own():
    x, semantics = images(), Semantics(1, label=tf.zeros((6, *SIZE), tf.int32))
    one_by_one = x
    for operation in OPERATIONS[:3]:
        one_by_one = operation(one_by_one, uniform())
    together = augmentation.DiffAugment(augmentation.POLICIES)(semantics, x, uniform())[1]
    np.testing.assert_array_equal(together, one_by_one)


@pytest.mark.parametrize("operation", [augmentation.translation, augmentation.cutout])
def test_ratio_of_nothing_changes_nothing(operation):
    x, draws = images(), uniform(count=2)
    np.testing.assert_array_equal(operation(x, draws, ratio=0.0), x)
    with pytest.raises(ValueError, match=r"ratio must be from 0 to 1: received 1\.5"):
        operation(x, draws, ratio=1.5)


@pytest.mark.parametrize("policy", ["translation", "cutout"])
@pytest.mark.parametrize("dense", [True, False])
def test_the_label_map_changes_with_the_picture(dense, policy):
    label = tf.constant(np.random.default_rng(0).integers(0, 5, (4, *SIZE)), tf.int32)
    edges = label == 3
    semantics = Semantics(5, label=label, edges=edges)
    if dense:
        semantics = Semantics(5, dense=semantics.dense)
    # A picture that shows its label map and has no zeros.
    picture = tf.cast(label, tf.float32)[..., None] + 1
    moved, image = augmentation.DiffAugment([policy])(semantics, picture, uniform(4))
    shown = image.numpy()[..., 0]
    assert 0 < (shown == 0).mean() < 0.5
    one_hot = moved.dense.numpy()
    np.testing.assert_array_equal(one_hot[..., :5].argmax(-1)[shown > 0] + 1, shown[shown > 0])
    np.testing.assert_array_equal(one_hot[..., 5] == 1, shown == 4)
    # Pixels outside the picture have no class and no edge, not even at the frame.
    np.testing.assert_array_equal(one_hot[..., :5].sum(-1), shown > 0)
    if not dense:
        np.testing.assert_array_equal(moved.label, shown.astype(np.int32) - 1)
        assert moved.label.dtype == tf.int32
    assert moved.shape == (4, *SIZE)


def test_color_leaves_the_label_map_alone():
    semantics = Semantics(1, label=tf.zeros((6, *SIZE), tf.int32))
    assert augmentation.DiffAugment(["color"])(semantics, images(), uniform())[0] is semantics


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        (["color", "flip"], "policy must be one of color, translation, cutout: received 'flip'"),
        (["color", "color"], "each policy may be named once: received color, color"),
    ],
)
def test_policies_that_cannot_be_used(policies, message):
    with pytest.raises(ValueError, match=message):
        augmentation.DiffAugment(policies)


def sgd():
    # Plain gradient descent, so that a wrong scale of the gradient shows.
    return keras.optimizers.SGD(0.1)


def augmented(policies=augmentation.POLICIES, **kwargs):
    augment = augmentation.DiffAugment(policies)
    return make_small(
        norm="instance", optimizer=sgd, augment=augment, loss_weights=LossWeights(r1=1.0), **kwargs
    )


@pytest.mark.parametrize("policies", COMBINATIONS, ids=",".join)
def test_identical_pictures_match_in_every_feature(policies):
    model, batch = augmented(policies), small_batch()
    semantics = model.semantics(batch)
    losses = model.picture_losses(semantics, batch["image"], batch["image"])
    assert losses["generator/feature_matching"] < 1e-6
    # The augmentation is on: another picture is no match, and the logits are not the plain ones.
    plain = make_small(norm="instance").picture_losses(semantics, batch["image"], batch["image"])
    name = "generator/adversarial"
    assert abs(losses[name] - plain[name]) > 1e-4
    other = model.picture_losses(semantics, batch["image"], -batch["image"])
    assert other["generator/feature_matching"] > 0.1


def test_the_step_and_the_pass_draw_anew():
    model, batch = augmented(["translation", "cutout"]), small_batch()
    seen = []

    def remember(inputs, image, training):
        seen.append(image.numpy())
        return call(inputs, image, training=training)

    call, model.discriminator.call = model.discriminator.call, remember
    for _ in range(2):
        model.train_step(batch)
    # The generator's pass, the discriminator's, and R1's, of two steps.
    passes = [seen[0][4:], seen[1][4:], seen[2], seen[3][4:], seen[4][4:], seen[5]]
    reals = {picture.tobytes() for picture in passes}
    # R1 uses the same pictures as the discriminator.
    np.testing.assert_array_equal(passes[1], passes[2])
    np.testing.assert_array_equal(passes[4], passes[5])
    assert len(reals) == 4
    # Fake and real have the same hole and the same frame.
    for both in (seen[0], seen[1], seen[3], seen[4]):
        np.testing.assert_array_equal(both[:4] == 0, both[4:] == 0)
        assert len({hole.tobytes() for hole in both[4:] == 0}) > 1


def compared(actual, expected):
    networks = [(m.generator, m.discriminator, m.encoder) for m in (actual, expected)]
    pairs = [[v for network in three for v in network.variables] for three in networks]
    for a, b in zip(*pairs, strict=True):
        # Float32 sums over a batch of four in another order, for values of order one.
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=5e-6, err_msg=a.path)


def test_parts_of_a_batch_draw_what_the_whole_does(eagerly):
    whole, parts = augmented(), augmented(updates=Updates(accumulation_steps=2))
    for seed in range(2):
        expected = whole.train_step(small_batch(seed=seed))
        actual = parts.train_step(small_batch(seed=seed))
        for name, loss in expected.items():
            np.testing.assert_allclose(actual[name], loss, rtol=1e-4, atol=1e-6, err_msg=name)
    compared(parts, whole)


@pytest.mark.distributed
def test_two_devices_draw_what_one_does(two_replicas):
    """In two parts each, so that every example is alone in its part of its device."""
    one = augmented()
    with two_replicas.scope():
        two = augmented(updates=Updates(accumulation_steps=2))
    batches = tf.data.Dataset.from_tensors(small_batch()).unbatch().repeat().batch(4)
    shared = iter(two_replicas.experimental_distribute_dataset(batches))
    for _ in range(2):
        expected = one.train_step(small_batch())
        losses = two_replicas.run(two.train_step, args=(next(shared),))
        for name, loss in losses.items():
            mean = two_replicas.reduce("mean", loss, axis=None)
            np.testing.assert_allclose(mean, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    compared(two, one)
