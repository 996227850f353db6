"""A discriminator of pixels that sees a picture through a frozen network trained on ImageNet."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.symbolic import TracesSymbolicCalls
from spade_tf.networks.backbones import (
    BACKBONES,
    HALF_SIZE,
    STRIDES,
    make_backbone,
    normalized_features,
)
from spade_tf.networks.segmentation_discriminator import (
    check_size,
    decode,
    decoded_shapes,
    make_decoder,
)
from spade_tf.networks.spectral_resnet_block import SpectralResnetBlock


@keras.saving.register_keras_serializable("spade_tf")
class ProjectedSegmentationDiscriminator(TracesSymbolicCalls, keras.Model):
    """Classifies every pixel into the N label ids or "fake", by features of a frozen network.

    A U-Net whose way down is the frozen network, with feature maps at strides of 2, 4, 8, 16 and 32
    (VGG16: 2 to 16). Each position is divided by the root mean square of its channels. The way up
    is that of `SegmentationDiscriminator`, and is trained.

    Args:
        num_labels: int >= 1, label ids N, the unknown one included.
        unknown_id: int, the id of unknown, whose pixels have no class to be found; None where
            there is none. Default None.
        backbone: "efficientnet_lite0" or "vgg16", the frozen network. Its weights are random until
            they are loaded: see `spade_tf.convert`. Default "efficientnet_lite0".
        filters: int >= 1, base width of the way up. Default 64.
        full_resolution: bool, whether it sees the picture itself too, through a trained
            `SpectralResnetBlock` whose features join the last ones on the way up. Without it, the
            finest features have half the resolution, and fine stripes of a generator pass
            unseen. Default False.

    Call arguments:
        inputs: not looked at; as other discriminators have it.
        image: `[B, H, W, 3]` in [-1, 1]; H and W are multiples of 32.
        training: bool.

    Returns:
        A list of one scale: a list of feature maps, those on the way up, which ends in the logits
        `[B, H, W, N + 1]`.

    Raises:
        ValueError: if an argument is out of range, or the picture is of another size.

    Reference: Berrada et al. 2024, "Unlocking Pre-trained Image Backbones for Semantic Image
        Synthesis", https://arxiv.org/abs/2312.13314. Of it, this is the idea of the discriminator
        alone: its blocks, backbones and further losses differ, and `full_resolution` is ours.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.networks import ProjectedSegmentationDiscriminator
        >>> discriminator = ProjectedSegmentationDiscriminator(3, filters=2)
        >>> tuple(discriminator(None, tf.zeros([1, 32, 32, 3]))[0][-1].shape)
        (1, 32, 32, 4)
    """

    classifies_pixels = True

    def __init__(
        self,
        num_labels: int,
        unknown_id: int | None = None,
        backbone: str = "efficientnet_lite0",
        filters: int = 64,
        full_resolution: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"filters must be >= 1: received {filters}")
        self.num_labels = num_labels
        self.unknown_id = unknown_id
        self.backbone = backbone
        self.filters = filters
        self.full_resolution = full_resolution
        layers = [HALF_SIZE[backbone], *BACKBONES[backbone]] if backbone in BACKBONES else []
        self.features = make_backbone(backbone, [name for name, _ in layers])
        *skips, channels = (count for _, count in layers)
        widths = [4 * filters, 2 * filters, 2 * filters, filters][: len(skips)]
        finest = max(filters // 2, 1)
        self.up, self.logits = make_decoder(
            channels,
            [*reversed(skips), finest if full_resolution else 0],
            [*widths, finest],
            self,
        )
        if full_resolution:
            self.pixels = SpectralResnetBlock(
                finest, activate=False, dtype=self.dtype_policy, name="pixels"
            )
            self.pixels.build((None, None, None, 3))
        self.built = True

    def call(self, inputs, image, training=False):
        check_size(image, STRIDES[-1])
        features = normalized_features(self.features, image)
        maps = [tf.cast(each, self.compute_dtype) for each in features]
        if self.full_resolution:
            maps.insert(0, self.pixels(tf.cast(image, self.compute_dtype), training=training))
        return [decode(self.up, self.logits, maps, training)]

    def compute_output_shape(self, inputs_shape, image_shape):
        return [decoded_shapes(self.up, self.num_labels, image_shape)]

    def get_config(self):
        return {
            **super().get_config(),
            "num_labels": self.num_labels,
            "unknown_id": self.unknown_id,
            "backbone": self.backbone,
            "filters": self.filters,
            "full_resolution": self.full_resolution,
        }
