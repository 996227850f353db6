import numpy as np
import pytest

from spade_tf.layers.adain import AdaIN

X = (np.arange(24, dtype="float32") ** 1.5).reshape(2, 2, 3, 2)
EMBEDDING = np.array([[1.0, -2.0, 0.5], [0.0, 1.0, 3.0]], "float32")


def make():
    layer = AdaIN(3)
    layer.build((None, None, None, 2))
    layer.gamma.kernel.assign([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    layer.gamma.bias.assign([0.5, -0.5])
    layer.beta.kernel.assign([[-1.0, 1.0], [0.0, 2.0], [2.0, 0.0]])
    layer.beta.bias.assign([7.0, 8.0])
    return layer


def test_by_hand():
    mean, variance = X.mean((1, 2), keepdims=True), X.var((1, 2), keepdims=True)
    gamma = np.array([[1 - 6 + 2.5 + 0.5, 2 - 8 + 3 - 0.5], [3 + 15 + 0.5, 4 + 18 - 0.5]])
    beta = np.array([[-1 + 1 + 7.0, 1 - 4 + 8], [6 + 7.0, 2 + 8]])
    expected = (X - mean) / np.sqrt(variance + 1e-5) * (1 + gamma[:, None, None])
    actual = make()(X, embedding=EMBEDDING)
    # Rounding of float32 on values up to 60.
    np.testing.assert_allclose(actual, expected + beta[:, None, None], atol=2e-5)


def test_output_has_the_statistics_asked_for():
    output = make()(X, embedding=EMBEDDING).numpy()
    np.testing.assert_allclose(output.mean((1, 2)), [[7, 5], [13, 10]], atol=1e-4)
    # 1 + gamma above; epsilon takes a little away.
    np.testing.assert_allclose(output.std((1, 2)), [[1, 2.5], [19.5, 22.5]], rtol=1e-4)


def test_an_embedding_is_needed():
    with pytest.raises(ValueError, match=r"AdaIN needs an embedding \[B, 3\]: received None"):
        make()(X)
    with pytest.raises(ValueError, match=r"embedding \[B, 3\]: received \(2, 2\)"):
        make()(X, embedding=EMBEDDING[:, :2])
    with pytest.raises(ValueError, match="embedding_dim must be >= 1"):
        AdaIN(0)
