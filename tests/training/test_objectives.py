"""Training against a discriminator of pixels."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_networks import SIZE, SmallEncoder, SmallGenerator, same, small_batch, values

from spade_tf.layers.semantics import Semantics
from spade_tf.losses.adversarial import HingeLoss
from spade_tf.losses.label_mix import label_mix_loss, label_mix_mask
from spade_tf.networks.segmentation_discriminator import SegmentationDiscriminator
from spade_tf.training.augmentation import POLICIES, DiffAugment
from spade_tf.training.gaugan import GauGAN
from spade_tf.training.options import LossWeights, Updates

LOSSES = {
    "generator/adversarial",
    "generator/kl",
    "discriminator/fake",
    "discriminator/real",
    "discriminator/label_mix",
}


def sgd():
    # Plain gradient descent, so that a wrong scale of the gradient shows.
    return keras.optimizers.SGD(0.1)


def make(unknown_id=None, dtype=None, feature_matching=0.0, norm="instance", **kwargs):
    random.seed(0)
    model = GauGAN(
        SmallGenerator(norm=norm, dtype=dtype, name="generator"),
        SegmentationDiscriminator(
            3, unknown_id, filters=4, num_downsamplings=2, dtype=dtype, name="discriminator"
        ),
        SmallEncoder(dtype=dtype, name="encoder"),
        loss_weights=LossWeights(feature_matching=feature_matching),
        **kwargs,
    )
    model.compile(sgd(), sgd())
    return model


@pytest.fixture
def batch():
    """Classes of 1, 60 and 3 of 64 pixels, but of the first example only."""
    batch = dict(small_batch())
    label = np.full((4, SIZE, SIZE), 1, "int32")
    label[0, 0, :4] = [0, 2, 2, 2]
    return batch | {"label": tf.constant(label)}


def test_losses_are_the_formulas(batch, eagerly):
    """By NumPy, from the networks' outputs."""
    model = make(unknown_id=2)
    semantics, real = model.semantics(batch), batch["image"]
    fake, _ = model.generate(semantics, real)
    state = model.discriminator.get_weights()
    # The same power iteration as in the losses' pass.
    features = model.discriminate(semantics, fake, real, training=True)
    fake_logits, real_logits = (each[0][-1] for each in features)
    draws = model.draws(4, 0)
    assert draws.shape == (4, 3)
    mask = label_mix_mask(batch["label"], draws)
    mixed = model.discriminator(None, tf.where(mask, real, fake))[0][-1]
    label = batch["label"].numpy()
    # 253 known pixels: one of class 0 and 252 of class 1. Unknown ones have no weight.
    weights = np.array([253 / 2, 253 / (2 * 252), 0.0])
    found = [-tf.nn.log_softmax(logits).numpy() for logits in (fake_logits, real_logits)]
    of_class = [np.take_along_axis(x, label[..., None], -1)[..., 0] for x in found]
    expected = {
        "generator/adversarial": (weights[label] * of_class[0]).mean(),
        "discriminator/fake": found[0][..., 3].mean(),
        "discriminator/real": (weights[label] * of_class[1]).mean(),
        "discriminator/label_mix": 10.0
        * label_mix_loss(mixed, real_logits, fake_logits, mask, batch["label"]),
    }
    model.discriminator.set_weights(state)
    losses = model.discriminator_losses(semantics, real, fake)
    model.discriminator.set_weights(state)
    losses |= model.picture_losses(semantics, real, fake)
    assert set(losses) == set(expected)
    for name, loss in losses.items():
        # Float32 means of 256 pixels.
        np.testing.assert_allclose(loss, expected[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_a_step_moves_everything_and_runs_the_generator_twice(batch, eagerly):
    model = make()
    calls = []
    call = model.generator.call
    model.generator.call = lambda *args, **kwargs: calls.append(1) or call(*args, **kwargs)
    # No gradient reaches what adds a constant to a map before its norm.
    weights = [model.generator.last.kernel, *model.discriminator.trainable_variables]
    before = values(weights)
    losses = model.train_step(batch)
    assert set(losses) == LOSSES
    assert all(np.isfinite(loss) for loss in losses.values())
    # Once for its own update, once for the discriminator's, as with any other discriminator.
    assert len(calls) == 2
    for weight, kept in zip(weights, same(before, values(weights)), strict=True):
        assert not kept, weight.path


def test_feature_matching_compares_the_maps_on_the_way_up(batch, eagerly):
    model = make(feature_matching=2.0)
    semantics, real = model.semantics(batch), batch["image"]
    fake = tf.zeros_like(real)
    losses = model.picture_losses(semantics, real, fake, training=False)
    ours, theirs = model.discriminate(semantics, fake, real)
    expected = sum(np.abs(a - b).mean() for a, b in zip(ours[0][:-1], theirs[0][:-1], strict=True))
    assert len(ours[0]) == 3
    np.testing.assert_allclose(losses["generator/feature_matching"], 2 * expected, rtol=1e-5)


def test_evaluation_gives_the_loss_of_the_generator(batch, eagerly):
    model = make()
    before = values(model.variables)
    losses = model.evaluation_losses(batch)
    assert set(losses) == {
        f"{mode}/{name}"
        for mode in ("inference", "training")
        for name in ("adversarial", "feature_matching", "l1")
    }
    assert all(same(before, values(model.variables)))


def test_half_precision_has_float32_losses(batch, eagerly):
    model = make(dtype="mixed_bfloat16")
    for name, loss in model.train_step(batch).items():
        assert loss.dtype == tf.float32, name
        assert np.isfinite(loss), name


def compared(actual, wanted):
    pairs = zip(
        [v for network in (actual.generator, actual.discriminator) for v in network.variables],
        [v for network in (wanted.generator, wanted.discriminator) for v in network.variables],
        strict=True,
    )
    for a, b in pairs:
        # Float32 sums over a batch of four in another order, twice, of the largest value.
        expected = b.numpy()
        atol = 1e-5 * max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(a.numpy(), expected, rtol=0, atol=atol, err_msg=a.path)


def test_parts_of_a_batch_are_the_whole(batch, eagerly):
    """Classes of the first part alone have the weights of the whole batch; augmented, too."""
    augment = DiffAugment(POLICIES)
    whole = make(augment=augment)
    parts = make(augment=augment, updates=Updates(accumulation_steps=2))
    for _ in range(2):
        expected = whole.train_step(batch)
        actual = parts.train_step(batch)
        assert set(actual) == LOSSES
        for name, loss in expected.items():
            np.testing.assert_allclose(actual[name], loss, rtol=1e-4, atol=1e-6, err_msg=name)
    compared(parts, whole)


@pytest.mark.distributed
def test_two_devices_are_one(batch, two_replicas):
    """In two parts each. What augmentation draws on two devices, test_augmentation.py tests."""
    one = make()
    with two_replicas.scope():
        two = make(updates=Updates(accumulation_steps=2))
    batches = tf.data.Dataset.from_tensors(batch).unbatch().repeat().batch(4)
    shared = iter(two_replicas.experimental_distribute_dataset(batches))
    for _ in range(2):
        expected = one.train_step(batch)
        losses = two_replicas.run(two.train_step, args=(next(shared),))
        for name, loss in losses.items():
            mean = two_replicas.reduce("mean", loss, axis=None)
            np.testing.assert_allclose(mean, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    compared(two, one)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"has losses of its own: leave adversarial_loss out"):
        make(adversarial_loss=HingeLoss())
    discriminator = SegmentationDiscriminator(3, filters=2, num_downsamplings=2)
    with pytest.raises(ValueError, match=r"LossWeights\.r1 must be 0 with a SegmentationDiscrim"):
        GauGAN(SmallGenerator(), discriminator, loss_weights=LossWeights(r1=1.0))
    model = make()
    semantics = Semantics(3, dense=tf.zeros([1, SIZE, SIZE, 3]))
    image = tf.zeros([1, SIZE, SIZE, 3])
    with pytest.raises(ValueError, match="needs label ids: received a continuous map"):
        model.picture_losses(semantics, image, image)


def test_a_saved_model_plays_for_the_same(batch, tmp_path, eagerly):
    model = make(unknown_id=2, norm="batch")
    model.train_step(batch)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.objective.unknown_id == 2
    expected, actual = model.train_step(batch), loaded.train_step(batch)
    for name, loss in expected.items():
        np.testing.assert_array_equal(actual[name], loss, err_msg=name)
