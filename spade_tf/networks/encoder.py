"""The image encoder: from a photograph to the Gaussian that its style is drawn from."""

from __future__ import annotations

import keras
import tensorflow as tf

from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.normalization import InstanceNorm
from spade_tf.layers.spectral_norm import SpectralConv2D
from spade_tf.layers.symbolic import TracesSymbolicCalls


@keras.saving.register_keras_serializable("spade_tf")
class ConvEncoder(TracesSymbolicCalls, keras.Model):
    """Strided convolutions and two dense heads, mu and logvar.

    3x3 convolutions of stride 2 with spectral and instance normalisation and leaky ReLU, of
    `filters * (1, 2, 4, 8, 8, ...)` channels.

    Args:
        z_dim: int >= 1, length of the style vector. Default 256.
        filters: int >= 1, base width. Default 64.
        image_size: `(height, width)` in pixels that pictures are resized to, multiples of
            `2 ** num_layers` and not both equal to it. Default (256, 256).
        num_layers: int >= 1, convolutions. Default 6.

    Call arguments:
        image: `[B, H, W, 3]` in [-1, 1], of any size.
        training: bool.

    Returns:
        `(mu, logvar)`, float32 `[B, z_dim]` each.

    Raises:
        ValueError: if `image_size` does not fit `num_layers`.

    Reference: Park et al. 2019, appendix A and figure 14; differs: sizes other than 256x256, with
        as many convolutions as they have room for.

    Example:
        >>> import numpy as np
        >>> from spade_tf import ConvEncoder
        >>> encoder = ConvEncoder(z_dim=4, filters=1, image_size=(16, 16), num_layers=2)
        >>> mu, logvar = encoder(np.zeros((1, 20, 24, 3), "float32"))
        >>> tuple(mu.shape), tuple(logvar.shape)
        ((1, 4), (1, 4))
    """

    def __init__(
        self,
        z_dim: int = 256,
        filters: int = 64,
        image_size: tuple[int, int] = (256, 256),
        num_layers: int = 6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        multiple = 2**num_layers
        if any(size < multiple or size % multiple for size in image_size):
            raise ValueError(
                f"image_size must be multiples of {multiple} for num_layers={num_layers}: "
                f"received {image_size}"
            )
        if max(image_size) == multiple:
            # The halvings leave one pixel, of which instance normalisation leaves nothing.
            raise ValueError(
                f"image_size must be larger than {multiple} for num_layers={num_layers}: "
                f"received {image_size}"
            )
        self.z_dim = z_dim
        self.filters = filters
        self.image_size = tuple(image_size)
        self.num_layers = num_layers
        widths = [filters * min(2**index, 8) for index in range(num_layers)]
        self.convs = [
            SpectralConv2D(
                width,
                3,
                strides=2,
                padding="valid",
                use_bias=False,
                dtype=self.dtype_policy,
                name=f"conv_{index}",
            )
            for index, width in enumerate(widths)
        ]
        self.norms = [
            InstanceNorm(dtype=self.dtype_policy, name=f"norm_{index}")
            for index in range(len(widths))
        ]
        self.mu = self._head("mu")
        self.logvar = self._head("logvar")
        self.build()

    def _head(self, name):
        # Float32: the KL divergence takes the exponential of logvar.
        return keras.layers.Dense(
            self.z_dim, kernel_initializer=xavier_normal(), dtype="float32", name=name
        )

    def build(self, _=None):
        if self.built:
            return
        channels = 3
        for conv, norm in zip(self.convs, self.norms, strict=True):
            conv.build((None, None, None, channels))
            norm.build((None, None, None, conv.filters))
            channels = conv.filters
        height, width = (size // 2**self.num_layers for size in self.image_size)
        features = channels * height * width
        self.mu.build((None, features))
        self.logvar.build((None, features))

    def call(self, image, training=False):
        x = tf.cast(image, tf.float32)
        if tuple(x.shape[1:3]) != self.image_size:
            x = tf.image.resize(x, self.image_size, "bilinear")
        x = tf.cast(x, self.compute_dtype)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            # Symmetric, as PyTorch's padding=1.
            x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
            x = tf.nn.leaky_relu(norm(conv(x, training=training)), 0.2)
        x = tf.reshape(x, [-1, self.mu.kernel.shape[0]])
        return self.mu(x), self.logvar(x)

    def compute_output_shape(self, image_shape):
        shape = (image_shape[0], self.z_dim)
        return shape, shape

    def get_config(self):
        return {
            **super().get_config(),
            "z_dim": self.z_dim,
            "filters": self.filters,
            "image_size": self.image_size,
            "num_layers": self.num_layers,
        }
