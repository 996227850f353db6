import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.training.adam import Adam

GRADIENTS = np.random.default_rng(0).normal(0, 1e-3, (6, 5))


def run(optimizer, gradients=GRADIENTS):
    weight = keras.Variable(np.linspace(-1, 1, gradients.shape[1]), dtype="float32", name="w")
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [weight])
    return weight.numpy()


def kingma_ba(rate, beta_1, beta_2, epsilon, decay=0.0):
    """Algorithm 1 of the paper, in float64."""
    weight, m, v = np.linspace(-1, 1, GRADIENTS.shape[1]), 0.0, 0.0
    for t, gradient in enumerate(GRADIENTS, 1):
        weight = weight - rate * decay * weight
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        weight = weight - rate * (m / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    return weight


@pytest.mark.parametrize("beta_1", [0.0, 0.9])
# With an epsilon as large as the gradients, its place in the formula shows.
@pytest.mark.parametrize("epsilon", [1e-8, 1e-3])
def test_equals_the_paper_s_algorithm(beta_1, epsilon):
    actual = run(Adam(0.1, beta_1=beta_1, beta_2=0.999, epsilon=epsilon))
    # 1 - 0.999^t loses three digits of float32; six steps of at most 0.1.
    np.testing.assert_allclose(actual, kingma_ba(0.1, beta_1, 0.999, epsilon), rtol=0, atol=5e-5)


def test_equals_keras_s_where_epsilon_does_not_matter():
    ours = run(Adam(0.1, beta_1=0.5, epsilon=1e-12))
    theirs = run(keras.optimizers.Adam(0.1, beta_1=0.5, epsilon=1e-12))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-5)
    # Keras adds epsilon to sqrt(v) before the correction. If this made no difference here, this
    # class would be needless.
    theirs = run(keras.optimizers.Adam(0.1, beta_1=0.5, epsilon=1e-3))
    assert np.abs(run(Adam(0.1, beta_1=0.5, epsilon=1e-3)) - theirs).max() > 1e-3


def reddi(rate, beta_1, beta_2, epsilon, gradients):
    """PyTorch's form of AMSGrad, in float64."""
    weight, m, v, largest = np.linspace(-1, 1, gradients.shape[1]), 0.0, 0.0, 0.0
    for t, gradient in enumerate(gradients, 1):
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        largest = np.maximum(largest, v)
        root = np.sqrt(largest / (1 - beta_2**t)) + epsilon
        weight = weight - rate * (m / (1 - beta_1**t)) / root
    return weight


def test_amsgrad_divides_by_the_largest_velocity():
    # Gradients that shrink: v falls, and its maximum stays.
    gradients = GRADIENTS * np.logspace(0, -3, len(GRADIENTS))[:, None]
    options = {"beta_1": 0.5, "beta_2": 0.5, "epsilon": 1e-12}
    actual = run(Adam(0.1, amsgrad=True, **options), gradients)
    # Six steps of at most 0.1 in float32.
    np.testing.assert_allclose(actual, reddi(0.1, **options, gradients=gradients), atol=1e-6)
    theirs = run(keras.optimizers.Adam(0.1, amsgrad=True, **options), gradients)
    np.testing.assert_allclose(actual, theirs, rtol=0, atol=1e-6)
    assert np.abs(actual - run(Adam(0.1, **options), gradients)).max() > 1e-2


def test_weight_decay_is_decoupled():
    actual = run(Adam(0.1, beta_1=0.0, beta_2=0.999, epsilon=1e-8, weight_decay=0.02))
    np.testing.assert_allclose(actual, kingma_ba(0.1, 0.0, 0.999, 1e-8, 0.02), rtol=0, atol=5e-5)
