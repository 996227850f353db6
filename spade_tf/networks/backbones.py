"""Frozen networks trained on ImageNet, through which discriminators see pictures."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from spade_tf.networks.efficientnet_lite import EfficientNetLiteFeatures
from spade_tf.networks.vgg import VGGFeatures

# Layers at strides of 4, 8, 16 and 32, and the channels of each.
BACKBONES: dict[str, tuple[tuple[str, int], ...]] = {
    "efficientnet_lite0": (("stage2", 24), ("stage3", 40), ("stage5", 112), ("stage7", 320)),
    "vgg16": (("relu3_1", 256), ("relu4_1", 512), ("relu5_1", 512)),
}
STRIDES = (4, 8, 16, 32)
# The layer at a stride of 2, for what works on every pixel.
HALF_SIZE = {"efficientnet_lite0": ("stage1", 16), "vgg16": ("relu2_1", 128)}

# Features are of order 1: below a thousandth of that, a position counts as empty.
_EPSILON = 1e-6


def make_backbone(backbone: str, layers: Sequence[str]) -> EfficientNetLiteFeatures | VGGFeatures:
    """A frozen network, built, with random weights.

    Args:
        backbone: a key of `BACKBONES`.
        layers: names of the feature maps that it returns.

    Raises:
        ValueError: if there is no such network.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}: received {backbone!r}")
    network: EfficientNetLiteFeatures | VGGFeatures
    if backbone == "vgg16":
        network = VGGFeatures("vgg16", layers=layers, name="features")
    else:
        network = EfficientNetLiteFeatures("lite0", layers=layers, name="features")
    network.build((None, None, None, 3))
    return network


def normalized_features(
    network: EfficientNetLiteFeatures | VGGFeatures, image: tf.Tensor
) -> list[tf.Tensor]:
    """Feature maps of pictures, each position divided by the root mean square of its channels.

    `F / sqrt(mean_c F^2 + 1e-6)`. The root mean square of what a discriminator sees is then 1,
    whatever the network, and a fake cannot be told by the size of its features alone.

    Args:
        network: of `make_backbone`.
        image: `[B, H, W, 3]` in [-1, 1].

    Returns:
        Float32 maps `[B, h, w, C]`, one per layer of the network.

    Raises:
        ValueError: if the pictures are smaller than the largest stride.

    Reference: Zhang et al. 2018, Eq. 1, https://arxiv.org/abs/1801.03924, whose LPIPS compares
        features that are normalised in the same way, to a length of 1.
    """
    least = STRIDES[-1]
    height, width = image.shape[1:3]
    if min(height or least, width or least) < least:
        raise ValueError(
            f"image must be at least {least} pixels high and wide: received {height}x{width}"
        )
    normalized = []
    for features in network(image):
        mean_square = tf.reduce_mean(tf.square(features), -1, keepdims=True)
        normalized.append(features * tf.math.rsqrt(mean_square + _EPSILON))
    return normalized
