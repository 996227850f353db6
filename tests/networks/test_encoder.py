import numpy as np
import pytest
import tensorflow as tf

from spade_tf.networks.encoder import ConvEncoder


def image(height=64, width=64, batch=2):
    x = np.linspace(-1.0, 1.0, batch * height * width * 3)
    return np.sin(31.0 * x).reshape(batch, height, width, 3).astype("float32")


@pytest.fixture(scope="module")
def encoder():
    return ConvEncoder(z_dim=5, filters=2, image_size=(64, 128))


def bilinear(x, size):
    """Half-pixel centres and no anti-aliasing, one axis at a time."""
    for axis, target in ((1, size[0]), (2, size[1])):
        source = x.shape[axis]
        places = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
        low = np.floor(places).astype(int)
        high = np.minimum(low + 1, source - 1)
        share = (places - low).reshape([-1] + [1] * (3 - axis))
        x = (1 - share) * np.take(x, low, axis) + share * np.take(x, high, axis)
    return x.astype("float32")


def test_shapes(encoder):
    for size in [(64, 128), (100, 40)]:
        for output in encoder(image(*size)):
            assert output.shape == (2, 5)
            assert output.dtype == tf.float32


@pytest.mark.parametrize("size", [(128, 96), (40, 48), (64, 100)])
def test_pictures_are_resized_first(encoder, size):
    x = image(*size)
    for a, b in zip(encoder(x), encoder(bilinear(x, (64, 128))), strict=True):
        # Interpolation weights in float32, through six instance normalisations.
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-3 * np.abs(b).max())


def test_order_is_mu_then_logvar(encoder):
    start = encoder.get_weights()
    encoder.mu.bias.assign(np.full(5, 7.0))
    mu, logvar = encoder(image(64, 128))
    assert np.abs(mu - 7.0).max() < 1
    assert np.abs(logvar).max() < 1
    encoder.set_weights(start)


def test_widths_and_strides():
    encoder = ConvEncoder(filters=2, image_size=(128, 64))
    assert [conv.filters for conv in encoder.convs] == [2, 4, 8, 16, 16, 16]
    assert [conv.strides for conv in encoder.convs] == [2] * 6
    # The last feature map is 2x1.
    assert tuple(encoder.mu.kernel.shape) == (16 * 2, 256)


def test_parameters_of_the_official_release():
    encoder = ConvEncoder()
    assert sum(int(np.prod(weight.shape)) for weight in encoder.trainable_weights) == 10_463_424


@pytest.mark.parametrize("size", [(0, 64), (32, 64), (64, 100)])
def test_sizes_that_cannot_be(size):
    with pytest.raises(ValueError, match="multiples of 64 "):
        ConvEncoder(image_size=size)


def test_a_picture_that_would_leave_one_pixel_is_refused():
    """Instance normalisation makes 0 of it: mu and logvar would not depend on the picture."""
    with pytest.raises(ValueError, match="larger than"):
        ConvEncoder(image_size=(64, 64))


def test_style_depends_on_the_picture(encoder):
    encoder(image(64, 128), training=True)
    first, second = encoder(image(64, 128)), encoder(image(64, 128)[:, ::-1])
    for a, b in zip(first, second, strict=True):
        assert np.abs(a - b).max() > 1e-3
