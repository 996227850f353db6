"""Transposed convolution under spectral normalisation."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from spade_tf.layers.spectral_norm import _SpectralLayer


@keras.saving.register_keras_serializable("spade_tf")
class SpectralConv2DTranspose(_SpectralLayer):
    """Transposed 2-D convolution whose kernel is divided by its spectral norm.

    The output is not cropped: of `(H - 1) * strides + kernel_size` rows (at least `H * strides`).
    The kernel is kept as that of a convolution, `[k, k, C, filters]`, and sigma is taken of it as
    a matrix of `filters` columns.

    Args:
        filters: int >= 1, output channels.
        kernel_size: int >= 1, of a square kernel.
        strides: int >= 1. Default 2.
        use_bias: bool. Default True.
        epsilon: float > 0, smallest norm of a singular vector. Default 1e-12.

    Call arguments:
        x: `[B, H, W, C]`.
        training: bool, whether to make a power iteration.

    Returns:
        `[B, H', W', filters]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown.

    Reference: Miyato et al. 2018, https://arxiv.org/abs/1802.05957.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import SpectralConv2DTranspose
        >>> tuple(SpectralConv2DTranspose(6, 3)(np.ones((1, 4, 4, 2), "float32")).shape)
        (1, 9, 9, 6)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 2,
        use_bias: bool = True,
        epsilon: float = 1e-12,
        **kwargs,
    ):
        super().__init__(filters, use_bias=use_bias, epsilon=epsilon, **kwargs)
        if kernel_size < 1 or strides < 1:
            raise ValueError(
                "kernel_size and strides must be >= 1: received "
                f"kernel_size={kernel_size}, strides={strides}"
            )
        self.kernel_size = kernel_size
        self.strides = strides

    def build(self, x_shape):
        if x_shape[-1] is None:
            raise ValueError(
                f"SpectralConv2DTranspose needs a known number of channels: received {x_shape}"
            )
        self._build_weights((self.kernel_size, self.kernel_size, x_shape[-1], self.filters))

    def plain_weights(self) -> list[np.ndarray]:
        kernel, *bias = super().plain_weights()
        return [kernel.transpose(0, 1, 3, 2), *bias]

    def call(self, x, training=False):
        kernel = tf.transpose(self.normalized_kernel(training=training), [0, 1, 3, 2])
        known = x.shape.as_list()
        dynamic = tf.shape(x)
        batch, height, width = (
            dynamic[axis] if known[axis] is None else known[axis] for axis in range(3)
        )
        shape = [batch, self._size(height), self._size(width), self.filters]
        x = tf.nn.conv2d_transpose(x, kernel, shape, self.strides, "VALID")
        return tf.nn.bias_add(x, self.bias) if self.use_bias else x

    def _size(self, size):
        return (size - 1) * self.strides + max(self.kernel_size, self.strides)

    def compute_output_shape(self, x_shape):
        sizes = (n if n is None else self._size(n) for n in x_shape[1:3])
        return (x_shape[0], *sizes, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
        }
