"""Upsampling of feature maps by two."""

from __future__ import annotations

import tensorflow as tf

METHODS = ("nearest", "bilinear")


def check_upsampling(method: str) -> None:
    """Raises a ValueError unless `method` is one of `METHODS`."""
    if method not in METHODS:
        raise ValueError(f"upsampling must be one of {', '.join(METHODS)}: received {method!r}")


def upsample(x: tf.Tensor, method: str = "nearest") -> tf.Tensor:
    """Twice as high and wide: `[B, H, W, C]` to `[B, 2H, 2W, C]`.

    Args:
        x: of any floating type.
        method: "nearest" (each pixel is repeated), or "bilinear": between the centres of pixels,
            those of the border repeated beyond it. The new values between a and b are
            `(3 a + b) / 4` and `(a + 3 b) / 4`: what [1, 2, 1] / 4 makes of repeated pixels.
    """
    height, width = x.shape[1:3]
    if height is None or width is None:
        height, width = tf.shape(x)[1], tf.shape(x)[2]
    size = [2 * height, 2 * width]
    if method == "nearest":
        return _repeat(x, size)
    # In float32: in half precision, TensorFlow 2.21 makes NaN of the gradient.
    return tf.cast(tf.image.resize(tf.cast(x, tf.float32), size, "bilinear"), x.dtype)


def _repeat(x, size):
    @tf.custom_gradient
    def repeat(x):
        def gradient(upstream):
            # The sum of the four copies. XLA has no gradient of TensorFlow's nearest resize.
            return 4.0 * tf.nn.avg_pool2d(upstream, 2, 2, "VALID")

        return tf.image.resize(x, size, "nearest"), gradient

    return repeat(x)
