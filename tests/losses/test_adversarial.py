import numpy as np
import pytest
import tensorflow as tf

from spade_tf.losses.adversarial import (
    HingeLoss,
    LeastSquaresLoss,
    OriginalLoss,
    WassersteinLoss,
    get_adversarial_loss,
)

# Two scales of unlike size: the mean of their means, not the mean of all logits.
LOGITS = [
    tf.constant([-2.0, 0.5, 3.0, 0.5], shape=[1, 2, 2, 1]),
    tf.constant([-1.0], shape=[1, 1, 1, 1]),
]


def softplus(x):
    return np.log1p(np.exp(x))


@pytest.mark.parametrize(
    ("loss", "fake", "real", "generator"),
    [
        # fake: (0 + 1.5 + 4 + 1.5) / 4 = 1.75 and 0; real: (3 + 0.5 + 0 + 0.5) / 4 = 1 and 2.
        (HingeLoss(), (1.75 + 0.0) / 2, (1.0 + 2.0) / 2, (-0.5 + 1.0) / 2),
        # (4 + 0.25 + 9 + 0.25) / 4 and 1; (9 + 0.25 + 4 + 0.25) / 4 and 4.
        (LeastSquaresLoss(), (3.375 + 1.0) / 2, (3.375 + 4.0) / 2, (3.375 + 4.0) / 2),
        (WassersteinLoss(), (0.5 - 1.0) / 2, (-0.5 + 1.0) / 2, (-0.5 + 1.0) / 2),
        (
            OriginalLoss(),
            (softplus(np.array([-2.0, 0.5, 3.0, 0.5])).mean() + softplus(-1.0)) / 2,
            (softplus(np.array([2.0, -0.5, -3.0, -0.5])).mean() + softplus(1.0)) / 2,
            (softplus(np.array([2.0, -0.5, -3.0, -0.5])).mean() + softplus(1.0)) / 2,
        ),
    ],
    ids=["hinge", "least_squares", "wasserstein", "original"],
)
def test_by_hand(loss, fake, real, generator):
    # One float32 rounding or two.
    np.testing.assert_allclose(loss.discriminator_fake(LOGITS), fake, rtol=1e-6)
    np.testing.assert_allclose(loss.discriminator_real(LOGITS), real, rtol=1e-6)
    np.testing.assert_allclose(loss.generator(LOGITS), generator, rtol=1e-6)


@pytest.mark.parametrize("name", ["hinge", "least_squares", "original", "wasserstein"])
def test_minimising_moves_logits_the_right_way(name):
    loss = get_adversarial_loss(name)
    logits = [tf.constant([[0.1], [-0.2]]), tf.constant([[0.3]])]

    def slopes(function):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = function(logits)
        return np.concatenate(tape.gradient(value, logits)).ravel()

    # Down the gradient: fake logits fall, real ones rise, and the generator's rise.
    fake = slopes(loss.discriminator_fake)
    if name != "least_squares":
        assert (fake > 0).all()
    else:
        np.testing.assert_array_equal(np.sign(fake), [1, -1, 1])
    assert (slopes(loss.discriminator_real) < 0).all()
    assert (slopes(loss.generator) < 0).all()


@pytest.mark.parametrize("name", ["hinge", "least_squares", "original", "wasserstein"])
def test_half_precision_logits_give_a_float32_loss(name):
    loss = get_adversarial_loss(name)
    half = [tf.cast(scale, tf.bfloat16) for scale in LOGITS]
    for function in (loss.discriminator_fake, loss.discriminator_real, loss.generator):
        assert function(half).dtype == tf.float32
        # The logits are exact in bfloat16.
        np.testing.assert_array_equal(function(half), function(LOGITS))


def test_original_loss_is_finite_far_out():
    far = [tf.constant([[-500.0, 500.0]])]
    np.testing.assert_allclose(OriginalLoss().discriminator_fake(far), 250.0)
    np.testing.assert_allclose(OriginalLoss().discriminator_real(far), 250.0)


def test_names():
    assert isinstance(get_adversarial_loss("hinge"), HingeLoss)
    with pytest.raises(ValueError, match=r"must be one of hinge, .* received 'hing'"):
        get_adversarial_loss("hing")
