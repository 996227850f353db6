import numpy as np
import pytest
import tensorflow as tf

from spade_tf.losses.perceptual import PerceptualLoss


def toy_extractor(image):
    """Two feature maps: the picture times two, and the square of its 2×2 means."""
    return [2 * image, tf.nn.avg_pool2d(image, 2, 2, "VALID") ** 2]


def picture(*values):
    return tf.constant(values, tf.float32, shape=(1, 2, 2, 1))


def test_by_hand():
    real, fake = picture(1, 2, 3, 6), picture(0, 2, 5, 1)
    # First map: 2·(1, 0, 2, 5), mean 4. Second: |2² - 3²| = 5. 4/2 + 5·3 = 17.
    loss = PerceptualLoss(toy_extractor, weights=(0.5, 3.0))(real, fake)
    assert loss.shape == ()
    assert loss.dtype == tf.float32
    assert float(loss) == 17


def test_the_mean_is_over_batch_pixels_and_channels():
    generator = np.random.default_rng(0)
    real, fake = generator.normal(size=(2, 3, 4, 5, 6)).astype(np.float32)
    loss = PerceptualLoss(lambda image: [image], weights=(1,))(real, fake)
    # One float32 mean against NumPy's in float64.
    np.testing.assert_allclose(loss, np.abs(real.astype(np.float64) - fake).mean(), rtol=1e-6)


def test_default_weights_are_the_papers():
    levels = [1.0, 10.0, 100.0, 1000.0, 10000.0]
    extractor = lambda image: [image * level for level in levels]  # noqa: E731
    loss = PerceptualLoss(extractor)(picture(0, 0, 0, 0), picture(1, 1, 1, 1))
    assert float(loss) == 1 / 32 + 10 / 16 + 100 / 8 + 1000 / 4 + 10000


def test_zero_for_equal_images():
    x = tf.random.stateless_uniform((2, 4, 4, 3), (0, 0))
    assert float(PerceptualLoss(toy_extractor, weights=(1, 1))(x, x)) == 0


def test_gradient_flows_through_the_fake_side_only():
    real, fake = picture(1, 2, 3, 6), picture(0, 4, 5, 1)
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        loss = PerceptualLoss(toy_extractor, weights=(1, 0))(real, fake)
    to_real, to_fake = tape.gradient(loss, [real, fake])
    assert to_real is None
    # d mean|2 fake - 2 real| / d fake = ±2 / 4.
    np.testing.assert_array_equal(to_fake, picture(-0.5, 0.5, 0.5, -0.5))


def test_a_trainable_extractor_gets_no_gradient_from_the_real_side():
    scale = tf.Variable(3.0)
    extractor = lambda image: [scale * image]  # noqa: E731
    real, fake = picture(1, 1, 1, 1), picture(2, 2, 2, 2)
    with tf.GradientTape() as tape:
        loss = PerceptualLoss(extractor, weights=(1,))(real, fake)
    assert float(loss) == 3
    assert float(tape.gradient(loss, scale)) == 2  # With the real side it would be 2 - 1.


def test_half_precision_features_are_summed_in_float32():
    extractor = lambda image: [tf.cast(image, tf.float16)]  # noqa: E731
    real, fake = tf.zeros((1, 512, 512, 1)), tf.ones((1, 512, 512, 1))
    loss = PerceptualLoss(extractor, weights=(1,))(real, fake)
    assert loss.dtype == tf.float32
    assert float(loss) == 1  # A float16 sum would overflow at 65,504.


def test_runs_in_a_graph():
    real, fake = picture(1, 2, 3, 6), picture(0, 2, 5, 1)
    assert float(tf.function(PerceptualLoss(toy_extractor, weights=(0.5, 3.0)))(real, fake)) == 17


def test_another_number_of_feature_maps_is_named():
    with pytest.raises(ValueError, match="5 feature maps, one per weight; it returned 2"):
        PerceptualLoss(toy_extractor)(picture(0, 0, 0, 0), picture(0, 0, 0, 0))


@pytest.mark.parametrize("weights", [(), (1, -1)])
def test_bad_weights_are_named(weights):
    with pytest.raises(ValueError, match="weights must be non-negative"):
        PerceptualLoss(toy_extractor, weights=weights)
