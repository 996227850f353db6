import keras
import numpy as np
import pytest

from spade_tf.layers.spectral_transpose import SpectralConv2DTranspose

X = np.sin(np.arange(2 * 4 * 5 * 3, dtype="float32")).reshape(2, 4, 5, 3)


@pytest.mark.parametrize(("kernel_size", "strides"), [(3, 2), (4, 2), (3, 1), (2, 3)])
def test_is_the_convolution_by_the_normalised_kernel(kernel_size, strides):
    layer = SpectralConv2DTranspose(4, kernel_size, strides=strides)
    layer.build((None, None, None, 3))
    layer.bias.assign([1.0, 2.0, 3.0, 4.0])
    for _ in range(100):
        layer(X, training=True)
    plain = keras.layers.Conv2DTranspose(4, kernel_size, strides=strides, padding="valid")
    plain.build((None, None, None, 3))
    kernel = layer.kernel.numpy()
    sigma = np.linalg.svd(kernel.reshape(-1, 4), compute_uv=False)[0]
    plain.kernel.assign((kernel / sigma).transpose(0, 1, 3, 2))
    plain.bias.assign(layer.bias)
    actual = layer(X)
    assert actual.shape == layer.compute_output_shape(X.shape)
    # The closest singular values here have a ratio of 0.984: a hundred power iterations, which
    # square it each, leave 6e-6 of sigma.
    np.testing.assert_allclose(actual, plain(X), rtol=0, atol=5e-5)


def test_bad_arguments():
    with pytest.raises(ValueError, match="kernel_size=0, strides=2"):
        SpectralConv2DTranspose(4, 0)
    with pytest.raises(ValueError, match="known number of channels"):
        SpectralConv2DTranspose(4, 3).build((None, None, None, None))
