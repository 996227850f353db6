"""AlexNet as an extractor of feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spade_tf.networks.frozen import _FrozenNetwork, normalize_imagenet

__all__ = ["AlexNetFeatures"]

# Name: kernel size, stride, padding on each side, filters.
_CONVS = {
    "conv1": (11, 4, 2, 64),
    "conv2": (5, 1, 2, 192),
    "conv3": (3, 1, 1, 384),
    "conv4": (3, 1, 1, 256),
    "conv5": (3, 1, 1, 256),
}
# The convolutions that a 3×3 max-pool of stride 2 comes before.
_POOLED = ("conv2", "conv3")


@keras.saving.register_keras_serializable("spade_tf")
class AlexNetFeatures(_FrozenNetwork):
    """The five feature maps of AlexNet, each after its ReLU.

    Convolutions of 64 (11×11, stride 4), 192 (5×5), 384, 256 and 256 (3×3) filters; a 3×3 max-pool
    of stride 2 before the second and the third. Weights are those of torchvision, and so is the
    normalisation of the pictures.

    Args:
        dtype: of the computation and of the weights. Default float32, whatever the policy.
        **kwargs: `name`.

    Call arguments:
        image: `[B, H, W, 3]` RGB pictures in [-1, 1], H and W at least 31.

    Returns:
        A list of five tensors `[B, h, w, C]`, C of 64, 192, 384, 256, 256.

    Raises:
        ValueError: if the pictures are too small, or not RGB.

    Reference: Krizhevsky 2014, https://arxiv.org/abs/1404.5997, as in torchvision.

    Example:
        >>> import numpy as np
        >>> from spade_tf.networks import AlexNetFeatures
        >>> [each.shape[-1] for each in AlexNetFeatures()(np.zeros((1, 64, 64, 3), "float32"))]
        [64, 192, 384, 256, 256]
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights; the network is not run."""
        channels = input_shape[-1]
        if channels != 3:
            raise ValueError(f"image must have 3 channels; received shape {tuple(input_shape)}")
        for name, (size, _, _, filters) in _CONVS.items():
            self.add_conv(name, (size, size, channels, filters), filters)
            channels = filters

    def call(self, image: Any) -> list[Any]:
        """Computes the feature maps."""
        if any(size is not None and size < 31 for size in image.shape[1:3]):
            raise ValueError(f"image must be at least 31×31; received shape {tuple(image.shape)}")
        x = normalize_imagenet(image)
        features = []
        for name, (_, stride, padding, _) in _CONVS.items():
            if name in _POOLED:
                x = ops.max_pool(x, 3, strides=2, padding="valid", data_format="channels_last")
            sides = (padding, padding)
            x = ops.pad(x, [(0, 0), sides, sides, (0, 0)])
            x = ops.relu(self.conv(name, x, strides=stride, padding="valid"))
            features.append(x)
        return features

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> list[tuple[Any, ...]]:
        """The shapes of the feature maps."""
        batch, *size, _ = input_shape
        shapes = []
        for name, (kernel, stride, padding, filters) in _CONVS.items():
            if name in _POOLED:
                size = [None if n is None else (n - 3) // 2 + 1 for n in size]
            size = [None if n is None else (n + 2 * padding - kernel) // stride + 1 for n in size]
            shapes.append((batch, *size, filters))
        return shapes
