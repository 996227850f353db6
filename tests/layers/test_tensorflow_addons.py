"""What tensorflow-addons 0.23.0 computed on TensorFlow 2.15.1, against the layers here.

The bounds are those of float32: results are of order one, and made of sums of up to 99 terms.
The moving average of weights is in tests/training/test_ema.py.
"""

from pathlib import Path

import numpy as np
import pytest

from spade_tf.layers.normalization import GroupNorm, InstanceNorm
from spade_tf.layers.spectral_norm import SpectralConv2D

ATOL = 2e-6


@pytest.fixture(scope="module")
def golden():
    return np.load(Path(__file__).parents[1] / "goldens" / "tfa" / "layers.npz")


@pytest.fixture
def conv(golden):
    conv = SpectralConv2D(5, 3)
    conv.build(golden["x"].shape)
    conv.kernel.assign(golden["conv_kernel"])
    conv.bias.assign(golden["conv_bias"])
    conv.u.assign(golden["sn_u0"][0])
    return conv


def test_spectral_norm_call_by_call(golden, conv):
    for call in (1, 2, 3):
        out = conv(golden["x"], training=True)
        kernel = conv.normalized_kernel(training=False)
        np.testing.assert_allclose(out, golden[f"sn_out_train{call}"], atol=ATOL)
        np.testing.assert_allclose(conv.u.numpy(), golden[f"sn_u{call}"][0], atol=ATOL)
        np.testing.assert_allclose(kernel, golden[f"sn_kernel{call}"], atol=ATOL)
        # At inference the last kernel of training is used again.
        np.testing.assert_allclose(conv(golden["x"], training=False), out, atol=ATOL)
        if call < 3:
            # There, each call put the normalised kernel in the place of the trained one.
            conv.kernel.assign(kernel)
    np.testing.assert_allclose(conv(golden["x"], training=False), golden["sn_out_eval"], atol=ATOL)


def test_spectral_norm_keeps_the_raw_kernel(golden, conv):
    conv(golden["x"], training=True)
    np.testing.assert_array_equal(conv.kernel.numpy(), golden["conv_kernel"])


def test_spectral_norm_of_a_raw_kernel_has_the_same_sequence(golden, conv):
    # Dividing the kernel by a number moves neither u nor the normalised kernel of the next call.
    for call in (1, 2, 3):
        out = conv(golden["x"], training=True)
        np.testing.assert_allclose(out, golden[f"sn_out_train{call}"], atol=ATOL)
        np.testing.assert_allclose(conv.u.numpy(), golden[f"sn_u{call}"][0], atol=ATOL)


def test_instance_norm(golden):
    out = InstanceNorm(epsilon=1e-5)(golden["x"])
    np.testing.assert_allclose(out, golden["instance_out"], atol=ATOL)


def test_instance_norm_with_scale_and_shift(golden):
    out = InstanceNorm(epsilon=1e-3)(golden["x"])
    out = out * golden["affine_gamma"] + golden["affine_beta"]
    np.testing.assert_allclose(out, golden["instance_affine_out"], atol=ATOL)


def test_group_norm(golden):
    out = GroupNorm(groups=3, epsilon=1e-3)(golden["x"])
    np.testing.assert_allclose(out, golden["group3_out"], atol=ATOL)
