"""A U-Net discriminator that finds the class of every pixel, or calls it fake."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.convolution import NarrowConv2D
from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.symbolic import TracesSymbolicCalls
from spade_tf.networks.spectral_resnet_block import SpectralResnetBlock

# Widths over `filters`, from the picture down.
_WIDTHS = (1, 1, 2, 2, 4, 4)


@keras.saving.register_keras_serializable("spade_tf")
class SegmentationDiscriminator(TracesSymbolicCalls, keras.Model):
    """Classifies every pixel of a picture into the N label ids or "fake".

    Residual blocks with spectral norm and leaky ReLU halve the resolution down to the coarsest
    one, then double it again; each map on the way up is concatenated with the one of its
    resolution from the way down. A 1x1 convolution gives N + 1 logits per pixel, "fake" last.

    The network sees the picture alone. The label map is what its answers are compared with, so a
    generator can only please it with pixels that look like their class.

    Args:
        num_labels: int >= 1, label ids N, the unknown one included.
        unknown_id: int, the id of unknown, whose pixels have no class to be found; None where
            there is none. Default None.
        filters: int >= 1, base width. Default 64; the paper's is 128.
        num_downsamplings: int, 1 to 6, halvings of the resolution. Default 6, which is for 256x256.

    Call arguments:
        inputs: not looked at; as other discriminators have it.
        image: `[B, H, W, 3]` in [-1, 1]; H and W are multiples of `2^num_downsamplings`.
        training: bool.

    Returns:
        A list of one scale: a list of feature maps, those on the way up, which ends in the logits
        `[B, H, W, N + 1]`.

    Raises:
        ValueError: if an argument is out of range, or the picture cannot be halved so often.

    Reference: Sushko et al. 2021, section 3.1 and appendix, https://arxiv.org/abs/2012.04781;
        differs: the last convolution has no spectral norm, since it must be sure of a class, and a
        gain of 1 at the start, by which the whole U-Net learns from the first step.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf.networks import SegmentationDiscriminator
        >>> discriminator = SegmentationDiscriminator(3, filters=2, num_downsamplings=2)
        >>> [tuple(each.shape) for each in discriminator(None, tf.zeros([1, 8, 8, 3]))[0]]
        [(1, 4, 4, 2), (1, 8, 8, 1), (1, 8, 8, 4)]
    """

    # What `spade_tf.training` chooses the losses by.
    classifies_pixels = True

    def __init__(
        self,
        num_labels: int,
        unknown_id: int | None = None,
        filters: int = 64,
        num_downsamplings: int = 6,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"filters must be >= 1: received {filters}")
        if not 1 <= num_downsamplings <= len(_WIDTHS):
            raise ValueError(
                f"num_downsamplings must be from 1 to {len(_WIDTHS)}: received {num_downsamplings}"
            )
        self.num_labels = num_labels
        self.unknown_id = unknown_id
        self.filters = filters
        self.num_downsamplings = num_downsamplings
        widths = [filters * width for width in _WIDTHS[:num_downsamplings]]
        self.down = [
            SpectralResnetBlock(
                width, "down", activate=index > 0, dtype=self.dtype_policy, name=f"down_{index}"
            )
            for index, width in enumerate(widths)
        ]
        channels = 3
        for block, width in zip(self.down, widths, strict=True):
            block.build((None, None, None, channels))
            channels = width
        skips = [*reversed(widths[:-1]), 0]
        self.up, self.logits = make_decoder(
            channels, skips, [*reversed(widths[:-1]), max(filters // 2, 1)], self
        )
        self.built = True

    def call(self, inputs, image, training=False):
        check_size(image, 2**self.num_downsamplings)
        x = tf.cast(image, self.compute_dtype)
        maps = []
        for block in self.down:
            x = block(x, training=training)
            maps.append(x)
        return [decode(self.up, self.logits, maps, training)]

    def compute_output_shape(self, inputs_shape, image_shape):
        return [decoded_shapes(self.up, self.num_labels, image_shape)]

    def get_config(self):
        return {
            **super().get_config(),
            "num_labels": self.num_labels,
            "unknown_id": self.unknown_id,
            "filters": self.filters,
            "num_downsamplings": self.num_downsamplings,
        }


def make_decoder(
    channels: int, skips: list[int], widths: list[int], network: Any
) -> tuple[list[SpectralResnetBlock], NarrowConv2D]:
    """The way up of a U-Net, built: blocks that double the resolution, and N + 1 logits.

    Args:
        channels: of the coarsest map.
        skips: channels of the map that is concatenated after each block; 0 for none.
        widths: output channels of each block.
        network: that they are part of; it has `num_labels` and a `dtype_policy`.
    """
    blocks = []
    for index, (skip, width) in enumerate(zip(skips, widths, strict=True)):
        block = SpectralResnetBlock(width, "up", dtype=network.dtype_policy, name=f"up_{index}")
        block.build((None, None, None, channels))
        channels = width + skip
        blocks.append(block)
    logits = NarrowConv2D(
        network.num_labels + 1,
        1,
        # With a gain of 0.02, answers would stay at chance for the first hundred steps.
        kernel_initializer=xavier_normal(1.0),
        dtype=network.dtype_policy,
        name="logits",
    )
    logits.build((None, None, None, channels))
    return blocks, logits


def decode(
    blocks: list[SpectralResnetBlock],
    logits: NarrowConv2D,
    maps: list[tf.Tensor],
    training: bool,
) -> list[tf.Tensor]:
    """Outputs of the blocks, and the logits.

    Args:
        blocks: of `make_decoder`.
        logits: likewise.
        maps: feature maps from the finest down, each half as large as the one before; the finest
            has half the picture's size or a smaller one.
        training: bool.
    """
    x, skips = maps[-1], list(maps[:-1])
    features = []
    for block in blocks:
        x = block(x, training=training)
        features.append(x)
        if skips:
            x = tf.concat([x, skips.pop()], -1)
    return [*features, logits(tf.nn.leaky_relu(x, 0.2), training=training)]


def decoded_shapes(
    blocks: list[SpectralResnetBlock], num_labels: int, image_shape: Any
) -> list[tuple[int | None, ...]]:
    """Shapes of what `decode` returns, for a picture's shape."""
    batch, *size, _ = image_shape
    shapes = []
    for index, block in enumerate(blocks):
        left = 2 ** (len(blocks) - 1 - index)
        shapes.append((batch, *(n and n // left for n in size), block.filters))
    return [*shapes, (batch, *size, num_labels + 1)]


def check_size(image: tf.Tensor, multiple: int) -> None:
    """Raises a ValueError where height and width are known, and no multiples."""
    height, width = image.shape[1:3]
    if (height or 0) % multiple or (width or 0) % multiple:
        raise ValueError(
            f"height and width of image must be multiples of {multiple}: received {height}x{width}"
        )
