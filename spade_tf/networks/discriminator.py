"""The multi-scale PatchGAN discriminator."""

from __future__ import annotations

import keras
import tensorflow as tf

from spade_tf.layers.convolution import NarrowConv2D
from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spectral_norm import SpectralConv2D
from spade_tf.layers.symbolic import TracesSymbolicCalls
from spade_tf.layers.unconditional_norm import UnconditionalNorm

NORMS = ("instance", "batch", "local_batch", "none")


@keras.saving.register_keras_serializable("spade_tf")
class NLayerDiscriminator(keras.Model):
    """PatchGAN: says of each patch of a picture whether it looks real.

    4x4 convolutions with leaky ReLU, of which all but the last two halve the resolution; the
    middle ones are spectrally and instance normalised, unless told otherwise. Then one to a single
    channel of logits.

    Args:
        in_channels: int >= 1, of the semantics and the picture together.
        filters: int >= 1, of the first layer, doubled by each following one up to 512.
            Default 64.
        num_layers: int >= 1, layers before the logits. Default 4.
        norm: of the middle layers: "instance", "batch" (synchronised) or "local_batch", both with
            a learned scale and shift, or "none". Default "instance".
        spectral_norm: bool, whether the middle layers are spectrally normalised. Default True.

    Call arguments:
        x: `[B, H, W, in_channels]`.
        training: bool.

    Returns:
        A list of feature maps, one per layer, the last being the logits `[B, h, w, 1]`.

    Reference: Isola et al. 2017; Park et al. 2019, appendix A.

    Example:
        >>> import numpy as np
        >>> from spade_tf import NLayerDiscriminator
        >>> discriminator = NLayerDiscriminator(6, filters=1, num_layers=2)
        >>> [tuple(each.shape) for each in discriminator(np.zeros((1, 32, 32, 6), "float32"))]
        [(1, 17, 17, 1), (1, 18, 18, 2), (1, 19, 19, 1)]
    """

    def __init__(
        self,
        in_channels: int,
        filters: int = 64,
        num_layers: int = 4,
        norm: str = "instance",
        spectral_norm: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}: received {norm!r}")
        if num_layers < 1:
            raise ValueError(f"num_layers must be >= 1: received {num_layers}")
        self.in_channels = in_channels
        self.filters = filters
        self.num_layers = num_layers
        self.norm = norm
        self.spectral_norm = spectral_norm

        self.convs = [self._conv(filters, 2, "conv_0")]
        self.norms = []
        for index in range(1, num_layers):
            filters = min(filters * 2, 512)
            strides = 1 if index == num_layers - 1 else 2
            self.convs.append(self._middle_conv(filters, strides, f"conv_{index}"))
            self.norms.append(self._norm(f"norm_{index}"))
        self.logits = self._conv(1, 1, "logits", layer=NarrowConv2D)
        self.build()

    def _conv(self, filters, strides, name, use_bias=True, layer=keras.layers.Conv2D):
        return layer(
            filters,
            4,
            strides=strides,
            use_bias=use_bias,
            kernel_initializer=xavier_normal(),
            dtype=self.dtype_policy,
            name=name,
        )

    def _middle_conv(self, filters, strides, name):
        # A norm that follows would take a bias away again.
        use_bias = self.norm == "none"
        if not self.spectral_norm:
            return self._conv(filters, strides, name, use_bias)
        return SpectralConv2D(
            filters,
            4,
            strides=strides,
            padding="valid",
            use_bias=use_bias,
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, name):
        affine = self.norm in ("batch", "local_batch")
        return UnconditionalNorm(self.norm, affine, dtype=self.dtype_policy, name=name)

    def build(self, _=None):
        if self.built:
            return
        channels = self.in_channels
        for conv in [*self.convs, self.logits]:
            conv.build((None, None, None, channels))
            channels = conv.filters
        for conv, norm in zip(self.convs[1:], self.norms, strict=True):
            norm.build((None, None, None, conv.filters))

    def call(self, x, training=False):
        x = tf.nn.leaky_relu(self.convs[0](_pad(x)), 0.2)
        features = [x]
        for conv, norm in zip(self.convs[1:], self.norms, strict=True):
            x = conv(_pad(x), training=training) if self.spectral_norm else conv(_pad(x))
            x = tf.nn.leaky_relu(norm(x, training=training), 0.2)
            features.append(x)
        features.append(self.logits(_pad(x), training=training))
        return features

    def compute_output_shape(self, x_shape):
        batch, *size, _ = x_shape
        shapes = []
        for conv in [*self.convs, self.logits]:
            strides = conv.strides if isinstance(conv.strides, int) else conv.strides[0]
            # 4x4 over a map padded by two pixels on all sides.
            size = [n if n is None else n // strides + 1 for n in size]
            shapes.append((batch, *size, conv.filters))
        return shapes

    def get_config(self):
        return {
            **super().get_config(),
            "in_channels": self.in_channels,
            "filters": self.filters,
            "num_layers": self.num_layers,
            "norm": self.norm,
            "spectral_norm": self.spectral_norm,
        }


@keras.saving.register_keras_serializable("spade_tf")
class MultiscaleDiscriminator(TracesSymbolicCalls, keras.Model):
    """PatchGAN discriminators of the same make, each at half the resolution of the one before.

    Args:
        num_labels: int >= 1, label ids, the unknown one included.
        use_instance_edges: bool, whether instance edges follow the labels. Default False.
        num_scales: int >= 1, discriminators. Default 2.
        filters: int >= 1, base width. Default 64.
        num_layers: int >= 1, layers of each before the logits. Default 4.
        norm: of each; see `NLayerDiscriminator`. Default "instance".
        spectral_norm: bool, of each. Default True.

    Call arguments:
        inputs: a `Semantics`; or a mapping with `label` and `instance`; or the int label ids
            alone; or a dense map.
        image: `[B, H, W, 3]` in [-1, 1].
        training: bool.

    Returns:
        A list of scales, finest first, each a list of feature maps ending in logits.

    Reference: Wang et al. 2018, section 3.2; Park et al. 2019, appendix A.

    Example:
        >>> import numpy as np
        >>> from spade_tf import MultiscaleDiscriminator
        >>> discriminator = MultiscaleDiscriminator(3, filters=1, num_layers=2)
        >>> label, image = np.zeros((1, 32, 32), "int32"), np.zeros((1, 32, 32, 3), "float32")
        >>> [tuple(features[-1].shape) for features in discriminator(label, image)]
        [(1, 19, 19, 1), (1, 11, 11, 1)]
    """

    def __init__(
        self,
        num_labels: int,
        use_instance_edges: bool = False,
        num_scales: int = 2,
        filters: int = 64,
        num_layers: int = 4,
        norm: str = "instance",
        spectral_norm: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_scales < 1:
            raise ValueError(f"num_scales must be >= 1: received {num_scales}")
        self.num_labels = num_labels
        self.use_instance_edges = use_instance_edges
        self.num_scales = num_scales
        self.filters = filters
        self.num_layers = num_layers
        self.norm = norm
        self.spectral_norm = spectral_norm
        self.semantic_channels = num_labels + int(use_instance_edges)
        self.discriminators = [
            NLayerDiscriminator(
                self.semantic_channels + 3,
                filters=filters,
                num_layers=num_layers,
                norm=norm,
                spectral_norm=spectral_norm,
                dtype=self.dtype_policy,
                name=f"discriminator_{scale}",
            )
            for scale in range(num_scales)
        ]
        self.built = True

    def call(self, inputs, image, training=False):
        semantics = Semantics.from_inputs(
            inputs,
            num_labels=self.num_labels,
            use_instance_edges=self.use_instance_edges,
            dtype=self.compute_dtype,
        )
        parts = (semantics.dense, image)
        x = tf.concat([tf.cast(part, self.compute_dtype) for part in parts], -1)
        outputs = []
        for scale, discriminator in enumerate(self.discriminators):
            if scale:
                x = downsample(x)
            outputs.append(discriminator(x, training=training))
        return outputs

    def compute_output_shape(self, inputs_shape, image_shape):
        batch, *size, _ = image_shape
        shapes = []
        for discriminator in self.discriminators:
            shapes.append(discriminator.compute_output_shape((batch, *size, None)))
            size = [n if n is None else (n + 1) // 2 for n in size]
        return shapes

    def get_config(self):
        return {
            **super().get_config(),
            "num_labels": self.num_labels,
            "use_instance_edges": self.use_instance_edges,
            "num_scales": self.num_scales,
            "filters": self.filters,
            "num_layers": self.num_layers,
            "norm": self.norm,
            "spectral_norm": self.spectral_norm,
        }


def downsample(x: tf.Tensor) -> tf.Tensor:
    """Average-pools 3x3 with stride 2 and one pixel of padding, which does not count.

    TensorFlow's "same" pads even sizes at their end only, hence the padding by hand.

    Args:
        x: `[B, H, W, C]`.

    Returns:
        `[B, ceil(H / 2), ceil(W / 2), C]`.
    """
    padding = [[0, 0], [1, 1], [1, 1], [0, 0]]
    inside = tf.pad(tf.ones([1, *_spatial(x), 1], x.dtype), padding)
    share = tf.nn.avg_pool2d(inside, 3, 2, "VALID")
    return tf.nn.avg_pool2d(tf.pad(x, padding), 3, 2, "VALID") / share


def _spatial(x):
    return [x.shape[axis] or tf.shape(x)[axis] for axis in (1, 2)]


def _pad(x):
    # Symmetric, as PyTorch's padding=2: TensorFlow's "same" would put less before than after.
    return tf.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]])
