"""The encoder of styles per class: from a photograph and its label map to a Gaussian per class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.semantic_inputs import map_shape
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spectral_norm import SpectralConv2D
from spade_tf.layers.symbolic import TracesSymbolicCalls
from spade_tf.networks.encoder import ConvEncoder

# Pixels of a photograph, in height and in width, per cell of the features that are averaged.
_CELL = 4


@keras.saving.register_keras_serializable("spade_tf")
class ClassEncoder(TracesSymbolicCalls, keras.Model):
    """Features of a photograph, averaged over the pixels of each class, and two dense heads.

    Two 4x4 convolutions of stride 2 and a 3x3 one, spectrally normalised, with leaky ReLU, of
    `filters * (1, 2, 4)` channels, see ten pixels far, and a cell of 4x4 pixels gets features.
    Those of a class are averaged, each cell by its share of pixels of the class. There is no
    normalisation: it would take the colour out, or mix what classes look like.

    A class that is not in the photograph gets mean 0 and log-variance 0: its style is drawn from
    the standard normal, and adds nothing to a KL divergence.

    Args:
        num_labels: int >= 1, N, label ids, the unknown one included.
        class_style_dim: int >= 1, D, length of the style of a class.
        z_dim: int >= 1, length of the style of the whole photograph, of which a `ConvEncoder` is
            made beside; None for none. Default None.
        filters: int >= 1, base width. Default 64.
        image_size: `(height, width)` in pixels that photographs and label maps are resized to:
            multiples of 4, and, with a `z_dim`, what a `ConvEncoder` takes. Default (256, 256).
        num_layers: int >= 1, convolutions of the `ConvEncoder`. Default 6.

    Call arguments:
        image: `[B, H, W, 3]` in [-1, 1], of any size.
        inputs: a `Semantics`; a mapping with `label` int `[B, H, W]`; the int label ids alone; or
            a float map `[B, H, W, N]`, the share that each pixel has of each class. Where there is
            no label map, a map of ones: the whole photograph counts for every class.
        training: bool.

    Returns:
        `(mu, logvar)`, float32 `[B, (z_dim or 0) + N * D]` each: whole styles, as `split_style`
        takes them apart.

    Raises:
        ValueError: if `image_size` does not fit, or the label map has other labels.

    Reference: Zhu et al. 2020 (SEAN), section 3.1, https://arxiv.org/abs/1911.12861, whose encoder
        averages features over regions; differs: the features are of a few strided convolutions,
        and the result is a Gaussian, as in Park et al. 2019, section 3.3.

    Example:
        >>> import numpy as np
        >>> from spade_tf.networks import ClassEncoder
        >>> encoder = ClassEncoder(3, class_style_dim=2, filters=1, image_size=(16, 16))
        >>> label = np.zeros((1, 16, 16), "int32")
        >>> mu, logvar = encoder(np.ones((1, 16, 16, 3), "float32"), label)
        >>> tuple(mu.shape), mu.numpy()[0, 2:].tolist()
        ((1, 6), [0.0, 0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        num_labels: int,
        class_style_dim: int,
        z_dim: int | None = None,
        filters: int = 64,
        image_size: tuple[int, int] = (256, 256),
        num_layers: int = 6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if class_style_dim < 1:
            raise ValueError(f"class_style_dim must be >= 1: received {class_style_dim}")
        if any(size < _CELL or size % _CELL for size in image_size):
            raise ValueError(f"image_size must be multiples of {_CELL}: received {image_size}")
        self.num_labels = num_labels
        self.class_style_dim = class_style_dim
        self.z_dim = z_dim
        self.filters = filters
        self.image_size = (image_size[0], image_size[1])
        self.num_layers = num_layers
        self.convs = [
            SpectralConv2D(
                width,
                kernel_size,
                strides=strides,
                padding="same",
                dtype=self.dtype_policy,
                name=f"conv_{index}",
            )
            for index, (width, kernel_size, strides) in enumerate(
                [(filters, 4, 2), (2 * filters, 4, 2), (4 * filters, 3, 1)]
            )
        ]
        self.class_mu, self.class_logvar = (
            # Float32: the KL divergence takes the exponential of logvar.
            keras.layers.Dense(
                class_style_dim, kernel_initializer=xavier_normal(1.0), dtype="float32", name=name
            )
            for name in ("class_mu", "class_logvar")
        )
        self.whole = None
        if z_dim is not None:
            self.whole = ConvEncoder(
                z_dim, filters, self.image_size, num_layers, dtype=self.dtype_policy, name="whole"
            )
        self.build()

    def build(self, _=None):
        if self.built:
            return
        channels = 3
        for conv in self.convs:
            conv.build((None, None, None, channels))
            channels = conv.filters
        for head in (self.class_mu, self.class_logvar):
            head.build((None, None, channels))

    def call(self, image, inputs: Semantics | Mapping[str, Any] | Any, training=False):
        x = tf.cast(image, tf.float32)
        if tuple(x.shape[1:3]) != self.image_size:
            x = tf.image.resize(x, self.image_size, "bilinear")
        features = tf.cast(x, self.compute_dtype)
        for conv in self.convs:
            features = tf.nn.leaky_relu(conv(features, training=training), 0.2)
        shares = tf.nn.avg_pool2d(self._labels(inputs), _CELL, _CELL, "VALID")
        means, present = class_means(tf.cast(features, tf.float32), shares)
        outputs = []
        for head, of_whole in zip(
            (self.class_mu, self.class_logvar),
            (None, None) if self.whole is None else self.whole(x, training=training),
            strict=True,
        ):
            of_classes = tf.where(present[..., None], head(means), 0.0)
            flat = tf.reshape(of_classes, [-1, self.num_labels * self.class_style_dim])
            outputs.append(flat if of_whole is None else tf.concat([of_whole, flat], -1))
        return tuple(outputs)

    def _labels(self, inputs):
        """Float32 one-hot labels at the size of the photograph."""
        if isinstance(inputs, Mapping):
            inputs = inputs["label"]
        if not isinstance(inputs, Semantics):
            inputs = Semantics.from_inputs(
                inputs, num_labels=self.num_labels, use_instance_edges=False
            )
        if not 0 <= inputs.channels - self.num_labels <= 1:
            raise ValueError(
                f"{type(self).__name__} was made for {self.num_labels} labels: received "
                f"semantics of {inputs.channels} channels"
            )
        # An edge channel may follow.
        return tf.cast(inputs.at(*self.image_size).dense[..., : self.num_labels], tf.float32)

    def compute_output_shape(self, image_shape, inputs_shape=None):
        batch = image_shape[0] if inputs_shape is None else map_shape(inputs_shape)[0]
        shape = (batch, (self.z_dim or 0) + self.num_labels * self.class_style_dim)
        return shape, shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_labels": self.num_labels,
            "class_style_dim": self.class_style_dim,
            "z_dim": self.z_dim,
            "filters": self.filters,
            "image_size": self.image_size,
            "num_layers": self.num_layers,
        }


def class_means(features: tf.Tensor, shares: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Means of features over the pixels of each class.

    Args:
        features: `[B, h, w, C]`.
        shares: `[B, h, w, N]`, >= 0, how much of each cell each class has.

    Returns:
        `(means, present)`: `[B, N, C]`, zero for classes without any cell, and bool `[B, N]`.
    """
    _, height, width, channels = features.shape
    features = tf.reshape(features, [-1, height * width, channels])
    shares = tf.reshape(shares, [-1, height * width, shares.shape[-1]])
    total = tf.reduce_sum(shares, 1)
    present = total > 0.0
    sums = tf.matmul(shares, features, transpose_a=True)
    return sums / tf.where(present, total, 1.0)[..., None], present
