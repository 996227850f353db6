"""Discriminators that see a picture through a frozen network trained on ImageNet."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.semantics import Semantics
from spade_tf.layers.spectral_norm import SpectralConv2D
from spade_tf.layers.symbolic import TracesSymbolicCalls
from spade_tf.networks.backbones import BACKBONES, STRIDES, make_backbone, normalized_features


@keras.saving.register_keras_serializable("spade_tf")
class ProjectedDiscriminator(TracesSymbolicCalls, keras.Model):
    """Small discriminators on random projections of a frozen network's features.

    The frozen network gives feature maps `F_l` at strides of 4, 8, 16 and 32 (VGG16: 4 to 16), in
    which each position is divided by the root mean square of its channels. Convolutions with
    random, frozen kernels mix them, first across channels (1x1), then across scales from the
    coarsest down (3x3, on the sum with the bilinearly upsampled coarser map):

        y_l = conv3x3((conv1x1(F_l) + upsample(y_{l+1})) / sqrt(2))

    The coarsest map has nothing to be added, and is not divided. The kernels keep the variance, so
    every `y_l` has a root mean square of about 1. As the network gives them, features are of about
    7, and a spectrally normalised discriminator passes that on: its logits would leave the hinge
    loss's range within a few steps, and the generator would learn no more.

    Every `y_l` has a discriminator of its own: the label map, averaged over the pixels of each
    position, is concatenated to it, and spectrally normalised convolutions with leaky ReLU halve
    the resolution down to the stride of the coarsest map, then give logits. The label map is
    concatenated, as in the PatchGAN of SPADE, so that a discriminator can compare what it sees
    with what should be there, position by position.

    Without the random mixing, each discriminator would look at the few features that betray a fake
    most easily, and win (Sauer et al. 2021, section 3.2).

    Args:
        num_labels: int >= 1, label ids, the unknown one included.
        use_instance_edges: bool, whether instance edges follow the labels. Default False.
        backbone: "efficientnet_lite0" or "vgg16", the frozen network. Its weights are random until
            they are loaded: see `spade_tf.convert`. Default "efficientnet_lite0".
        filters: int >= 1, channels of the projections, and of the discriminators' convolutions.
            Default 64.

    Call arguments:
        inputs: a `Semantics`; or a mapping with `label` and `instance`; or a dense map.
        image: `[B, H, W, 3]` in [-1, 1], at least 32 pixels high and wide.
        training: bool.

    Returns:
        A list of scales, finest first, each a list of feature maps that ends in logits
        `[B, h, w, 1]`.

    Raises:
        ValueError: if an argument is out of range, or the picture is too small.

    Reference: Sauer et al. 2021, "Projected GANs Converge Faster",
        https://arxiv.org/abs/2111.01007. Differs from it: the label map is seen, features are
        normalised and sums divided as above, all projections have the same number of channels,
        and pictures are not scaled up to 224 pixels first.

    Example:
        >>> import numpy as np
        >>> from spade_tf.networks import ProjectedDiscriminator
        >>> discriminator = ProjectedDiscriminator(3, filters=1)
        >>> label, image = np.zeros((1, 32, 32), "int32"), np.zeros((1, 32, 32, 3), "float32")
        >>> [len(scale) for scale in discriminator(label, image)]
        [5, 4, 3, 2]
    """

    def __init__(
        self,
        num_labels: int,
        use_instance_edges: bool = False,
        backbone: str = "efficientnet_lite0",
        filters: int = 64,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"filters must be >= 1: received {filters}")
        layers = BACKBONES.get(backbone, ())
        self.features = make_backbone(backbone, [name for name, _ in layers])
        self.num_labels = num_labels
        self.use_instance_edges = use_instance_edges
        self.backbone = backbone
        self.filters = filters
        self.semantic_channels = num_labels + int(use_instance_edges)
        self.strides = STRIDES[: len(layers)]
        self.across_channels = [self._frozen(1, f"across_channels_{s}") for s in self.strides]
        self.across_scales = [self._frozen(3, f"across_scales_{s}") for s in self.strides]
        for stage, (_, channels) in enumerate(layers):
            self.across_channels[stage].build((None, None, None, channels))
            self.across_scales[stage].build((None, None, None, filters))
        self.discriminators = [self._discriminator(stride) for stride in self.strides]
        self.built = True

    def _frozen(self, kernel_size: int, name: str) -> keras.layers.Conv2D:
        """A convolution whose random kernel keeps the variance of what it is given."""
        return keras.layers.Conv2D(
            self.filters,
            kernel_size,
            padding="same",
            use_bias=False,
            kernel_initializer="lecun_normal",
            trainable=False,
            dtype=self.dtype_policy,
            name=name,
        )

    def _discriminator(self, stride: int) -> list[keras.layers.Layer]:
        """Convolutions from the features at a stride to the logits at the coarsest stride."""
        convs, channels = [], self.filters + self.semantic_channels
        halvings = len(self.strides) - 1 - self.strides.index(stride)
        sizes = [(3, 1), *[(4, 2)] * halvings, (3, 1)]
        for index, (kernel_size, strides) in enumerate(sizes):
            conv = SpectralConv2D(
                self.filters if index < len(sizes) - 1 else 1,
                kernel_size,
                strides=strides,
                dtype=self.dtype_policy,
                name=f"discriminator_{stride}_{index}",
            )
            conv.build((None, None, None, channels))
            channels = self.filters
            convs.append(conv)
        return convs

    def call(self, inputs, image, training=False):
        semantics = Semantics.from_inputs(
            inputs,
            num_labels=self.num_labels,
            use_instance_edges=self.use_instance_edges,
            dtype=self.compute_dtype,
        )
        outputs = []
        for convs, x, stride in zip(
            self.discriminators, self.projections(image), self.strides, strict=True
        ):
            labels = tf.nn.avg_pool2d(semantics.dense, stride, stride, "SAME")
            # VGG16 drops rows and columns that do not fill a position.
            labels = labels[:, : tf.shape(x)[1], : tf.shape(x)[2]]
            x = tf.concat([x, tf.cast(labels, x.dtype)], -1)
            scale = []
            for index, conv in enumerate(convs):
                x = conv(tf.nn.leaky_relu(x, 0.2) if index else x, training=training)
                scale.append(x)
            outputs.append(scale)
        return outputs

    def projections(self, image: tf.Tensor) -> list[tf.Tensor]:
        """The mixed features `[B, ceil(H / s), ceil(W / s), filters]`, finest first."""
        mixed: list[tf.Tensor] = []
        features = normalized_features(self.features, image)
        for stage in reversed(range(len(features))):
            x = self.across_channels[stage](tf.cast(features[stage], self.compute_dtype))
            if mixed:
                size = tf.shape(x)[1:3] if None in x.shape[1:3] else x.shape[1:3]
                x += tf.cast(tf.image.resize(mixed[0], size, "bilinear"), x.dtype)
                # A sum of two maps has twice the variance.
                x *= 0.5**0.5
            mixed.insert(0, self.across_scales[stage](x))
        return mixed

    def compute_output_shape(self, inputs_shape, image_shape):
        batch, *image_size, _ = image_shape
        floors = self.backbone == "vgg16"
        shapes = []
        for convs, stride in zip(self.discriminators, self.strides, strict=True):
            size = [n and (n // stride if floors else -(-n // stride)) for n in image_size]
            scale = []
            for conv in convs:
                size = [n and -(-n // conv.strides) for n in size]
                scale.append((batch, *size, conv.filters))
            shapes.append(scale)
        return shapes

    def get_config(self):
        return {
            **super().get_config(),
            "num_labels": self.num_labels,
            "use_instance_edges": self.use_instance_edges,
            "backbone": self.backbone,
            "filters": self.filters,
        }
