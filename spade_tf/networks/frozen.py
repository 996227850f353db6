"""What frozen feature extractors share: weights that no optimizer ever sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from spade_tf.layers.convolution import convolve

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class _FrozenNetwork(keras.layers.Layer):
    """A network of convolutions with bias whose weights are never trained.

    The weights are its own instead of those of Conv2D layers, which would become trainable with
    whichever model holds this one. Gradients pass through to the pictures. A new network has random
    weights (He normal): `spade_tf.convert` reads trained ones.

    Args:
        dtype: of the computation and of the weights. float32 unless said otherwise, also under a
            mixed-precision policy.
        **kwargs: `name`.
    """

    def __init__(self, dtype: Any = "float32", **kwargs: Any) -> None:
        super().__init__(dtype=dtype, trainable=False, **kwargs)
        self._kernels: dict[str, Any] = {}
        self._biases: dict[str, Any] = {}

    @property
    def conv_names(self) -> tuple[str, ...]:
        """The convolutions of the built network, from the first on.

        `get_weights()` and `set_weights()` have a kernel and a bias `[O]` for each.
        """
        return tuple(self._kernels)

    def add_conv(self, name: str, kernel_shape: Sequence[int], filters: int) -> None:
        """Makes the weights of a convolution.

        Args:
            name: of the convolution.
            kernel_shape: `[H, W, I, O]`, or `[H, W, I, 1]` of a depthwise one.
            filters: int >= 1, size of the bias.
        """
        kernel, bias = (
            self.add_weight(
                shape=tuple(shape), initializer=initializer, trainable=False, name=f"{name}_{kind}"
            )
            for kind, shape, initializer in (
                ("kernel", kernel_shape, "he_normal"),
                ("bias", (filters,), "zeros"),
            )
        )
        self._kernels[name], self._biases[name] = kernel, bias

    def conv(self, name: str, x: Any, *, strides: int = 1, padding: str = "same") -> Any:
        """A convolution with its bias."""
        kernel = tf.convert_to_tensor(self._kernels[name])
        y = convolve(x, tf.cast(kernel, x.dtype), strides, padding)
        return y + ops.cast(self._biases[name], y.dtype)

    def depthwise_conv(self, name: str, x: Any, *, strides: int = 1) -> Any:
        """A depthwise convolution with its bias."""
        y = ops.depthwise_conv(
            x, self._kernels[name], strides=strides, padding="same", data_format="channels_last"
        )
        return y + ops.cast(self._biases[name], y.dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["trainable"]
        return config


def normalize_imagenet(image: Any) -> Any:
    """Pictures in [-1, 1] as torchvision's networks want them.

    `((x + 1) / 2 - mean) / std` per channel, as one multiplication and one addition.

    Args:
        image: `[..., 3]`, RGB.
    """
    scale = [0.5 / std for std in IMAGENET_STD]
    shift = [(0.5 - mean) / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    return image * ops.cast(scale, image.dtype) + ops.cast(shift, image.dtype)
