import numpy as np
import pytest
import tensorflow as tf

from spade_tf.layers.semantics import Semantics
from spade_tf.losses.kl import kl_divergence
from spade_tf.networks import ClassEncoder, ConvEncoder
from spade_tf.networks.class_encoder import class_means

LABELS, DIM = 3, 2


def image(height=16, width=24, batch=2):
    x = np.linspace(-1.0, 1.0, batch * height * width * 3)
    return np.sin(31.0 * x).reshape(batch, height, width, 3).astype("float32")


def label(height=16, width=24):
    """Class 0 at the left, 1 at the right; class 2 in the second example alone."""
    ids = np.zeros((2, height, width), "int32")
    ids[:, :, width // 2 + 2 :] = 1
    ids[1, : height // 4, : width // 4] = 2
    return ids


@pytest.fixture(scope="module")
def encoder():
    return ClassEncoder(LABELS, DIM, filters=2, image_size=(16, 24))


def test_means_are_numpy_s():
    features = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype("float32")
    shares = np.random.default_rng(1).uniform(size=(2, 3, 5, 3)).astype("float32")
    shares[0, ..., 1] = 0.0
    means, present = class_means(tf.constant(features), tf.constant(shares))
    assert present.numpy().tolist() == [[True, False, True], [True] * 3]
    for b in range(2):
        for n in range(3):
            expected = np.zeros(4)
            if shares[b, ..., n].any():
                weights = shares[b, ..., n].ravel()
                expected = np.average(features[b].reshape(-1, 4), axis=0, weights=weights)
            # Float32 sums of 15 terms of order 1.
            np.testing.assert_allclose(means[b, n], expected, rtol=0, atol=1e-5)


def test_the_whole_network_is_numpy_s_pooling_of_its_convolutions(encoder):
    x = tf.constant(image())
    for conv in encoder.convs:
        x = tf.nn.leaky_relu(conv(x), 0.2)
    features = x.numpy().reshape(2, 24, -1)
    one_hot = np.eye(3)[label()].reshape(2, 4, 4, 6, 4, 3).mean((2, 4)).reshape(2, 24, 3)
    total = one_hot.sum(1)[..., None]
    means = np.einsum("bpn,bpf->bnf", one_hot, features) / np.where(total, total, 1.0)
    for actual, head in zip(
        encoder(image(), label()), (encoder.class_mu, encoder.class_logvar), strict=True
    ):
        expected = means @ head.kernel.numpy() + head.bias.numpy()
        expected[0, 2] = 0.0
        # Float32 sums of few terms.
        np.testing.assert_allclose(actual, expected.reshape(2, -1), rtol=0, atol=1e-5)
        assert np.abs(expected[1, 2]).max() > 1e-3


def test_an_absent_class_has_the_prior_and_no_divergence(encoder):
    start = encoder.get_weights()
    encoder.class_mu.bias.assign([1.0, 2.0])
    with tf.GradientTape() as tape:
        mu, logvar = encoder(image()[:1], label()[:1])
        absent = kl_divergence(mu[:, 4:], logvar[:, 4:])
        loss = kl_divergence(mu, logvar)
    assert mu.numpy()[0, 4:].tolist() == logvar.numpy()[0, 4:].tolist() == [0.0, 0.0]
    assert float(absent) == 0.0 < float(loss)
    for gradient in tape.gradient(loss, [w.value for w in encoder.trainable_weights]):
        assert np.isfinite(gradient).all()
        assert np.any(gradient)
    encoder.set_weights(start)


def test_a_class_sees_its_own_pixels(encoder):
    """Cells of 4 see 10 pixels, and the third convolution one cell more: 7 pixels beyond a cell."""
    changed = image()
    # Class 0 ends at column 14, the cell around it at 16.
    changed[:, :, 23:] += 0.5
    before, after = (encoder(each, label())[0].numpy() for each in (image(), changed))
    np.testing.assert_array_equal(before[:, :DIM], after[:, :DIM])
    assert np.abs(before - after)[:, DIM : 2 * DIM].max() > 1e-3


def test_label_maps_of_other_sizes_and_forms(encoder):
    expected = encoder(image(), label())[0]
    larger = np.repeat(np.repeat(label(), 2, 1), 2, 2)
    one_hot = np.eye(3, dtype="float32")[label()]
    edges = tf.constant(label() > 0)
    for form in (
        larger,
        {"label": label(), "instance": label()},
        one_hot,
        Semantics(3, label=label(), edges=edges),
    ):
        np.testing.assert_array_equal(encoder(image(), inputs=form)[0], expected)


def test_ones_are_the_whole_photograph_for_every_class(encoder):
    ones = np.ones((2, 16, 24, 3), "float32")
    mu = encoder(image(), ones)[0].numpy().reshape(2, LABELS, DIM)
    np.testing.assert_array_equal(mu[:, 0], mu[:, 2])
    one_class = encoder(image(), np.zeros((2, 16, 24), "int32"))[0].numpy()
    # The same mean; sums over 384 ones, or over one-hot ones.
    np.testing.assert_allclose(mu[:, 0], one_class[:, :DIM], rtol=0, atol=1e-6)


def test_the_style_of_the_whole_photograph_comes_first():
    arguments = {"z_dim": 4, "filters": 1, "image_size": (16, 16), "num_layers": 2}
    both, alone = ClassEncoder(LABELS, DIM, **arguments), ConvEncoder(**arguments)
    alone.set_weights(both.whole.get_weights())
    given, ids = image(20, 20), np.zeros((2, 20, 20), "int32")
    for one, other in zip(both(given, ids), alone(given), strict=True):
        assert one.shape == (2, 4 + LABELS * DIM)
        # One function; another order of sums at most.
        np.testing.assert_allclose(one[:, :4], other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ClassEncoder(3, 0), "class_style_dim must be >= 1: received 0"),
        (lambda: ClassEncoder(3, 2, image_size=(16, 18)), r"multiples of 4: received \(16, 18\)"),
        (
            lambda: ClassEncoder(3, 2, filters=1, image_size=(8, 8))(
                image(8, 8), np.ones((2, 8, 8, 5), "float32")
            ),
            "3 channels .*received 5",
        ),
        (
            lambda: ClassEncoder(3, 2, filters=1, image_size=(8, 8))(
                image(8, 8), inputs=Semantics(5, label=np.zeros((2, 8, 8), "int32"))
            ),
            "made for 3 labels: received semantics of 5",
        ),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
