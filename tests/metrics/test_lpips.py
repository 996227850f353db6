import numpy as np
import pytest

from spade_tf.metrics import LPIPS


def two_maps(image):
    return [image, image[:, ::2, ::2, :2]]


def test_formula_by_hand():
    a, b = np.random.default_rng(0).uniform(-1, 1, [2, 3, 4, 4, 3]).astype(np.float32)
    heads = [np.array([1.0, 2.0, 0.5], np.float32), np.array([0.25, 3.0], np.float32)]
    expected = np.zeros(3)
    for (x, y), head in zip(zip(two_maps(a), two_maps(b), strict=True), heads, strict=True):
        unit = [m / np.linalg.norm(m.astype(np.float64), axis=-1, keepdims=True) for m in (x, y)]
        expected += ((unit[0] - unit[1]) ** 2 * head).sum(-1).mean((1, 2))
    actual = LPIPS(two_maps, heads)(a, b)
    assert actual.shape == (3,)
    # Sums of some 60 float32 numbers of order 1.
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_equal_pictures_and_features_of_zero():
    a = np.zeros([1, 4, 4, 3], np.float32)
    metric = LPIPS(two_maps, [np.ones(3, np.float32), np.ones(2, np.float32)])
    assert metric(a, a).numpy().tolist() == [0.0]


def test_refuses_other_heads():
    with pytest.raises(ValueError, match="one head per feature map: received 1 heads for 2 maps"):
        LPIPS(two_maps, [np.ones(3)])(np.ones([1, 4, 4, 3]), np.ones([1, 4, 4, 3]))
