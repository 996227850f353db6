import numpy as np
import pytest

from spade_tf.networks.alexnet import AlexNetFeatures


def test_sizes_are_torchvisions():
    features = AlexNetFeatures()(np.zeros([2, 224, 224, 3], np.float32))
    assert [tuple(f.shape) for f in features] == [
        (2, 55, 55, 64),
        (2, 27, 27, 192),
        (2, 13, 13, 384),
        (2, 13, 13, 256),
        (2, 13, 13, 256),
    ]


def test_the_first_map_by_hand():
    network = AlexNetFeatures()
    network.build((None, None, None, 3))
    weights = network.get_weights()
    weights[1] = np.linspace(-1, 1, 64).astype(np.float32)
    network.set_weights(weights)
    image = np.random.default_rng(0).uniform(-1, 1, [1, 35, 35, 3]).astype(np.float32)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    padded = np.pad(((image[0] + 1) / 2 - mean) / std, ((2, 2), (2, 2), (0, 0)))
    # Row 1, column 2 of the map: a window of 11 at a stride of 4.
    window = padded[4:15, 8:19]
    expected = np.maximum(np.einsum("ijc,ijcf->f", window, weights[0]) + weights[1], 0)
    # A float32 sum of 363 products of order 1.
    np.testing.assert_allclose(network(image)[0][0, 1, 2], expected, atol=1e-4)


def test_refuses_small_pictures():
    with pytest.raises(ValueError, match="at least 31×31"):
        AlexNetFeatures()(np.zeros([1, 30, 40, 3], np.float32))
