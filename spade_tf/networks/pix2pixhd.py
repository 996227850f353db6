"""The generator of pix2pixHD, and its variants that SPADE is compared with."""

from __future__ import annotations

import keras
import tensorflow as tf

from spade_tf.layers.conditioning import (
    Conditioning,
    check_conditioning,
    conditions_by_scale,
    get_conditional_norm,
)
from spade_tf.layers.convolution import NarrowConv2D
from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.padding import pad
from spade_tf.layers.semantic_inputs import map_shape
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.shared_predictor import SharedPredictor
from spade_tf.layers.spectral_norm import SpectralConv2D
from spade_tf.layers.spectral_transpose import SpectralConv2DTranspose
from spade_tf.layers.symbolic import TracesSymbolicCalls
from spade_tf.networks.sizes import check_image_size
from spade_tf.networks.styles import draw_style

# The paper's: instance normalisation, without scale and shift.
_PLAIN = Conditioning("none", norm="instance")


@keras.saving.register_keras_serializable("spade_tf")
class Pix2PixHDGenerator(TracesSymbolicCalls, keras.Model):
    """From a label map to a picture, by an encoder, residual blocks and a decoder.

    A 7x7 convolution of the label map, 3x3 convolutions of stride 2 that double the filters,
    residual blocks of two 3x3 convolutions, 3x3 transposed convolutions of stride 2 that halve
    the filters, each followed by a normalisation and ReLU (in a block, the first only); then a
    7x7 convolution to three channels, and tanh. Convolutions are padded by reflection (those of
    stride 2 by zeros if `down_padding` says so), but the transposed ones.

    The systems of the paper's comparison, with 64 filters, or 48 for the compact ones:

    - pix2pixHD: `Conditioning("none", norm="instance")`, `spectral_norm=False`
    - pix2pixHD++: `Conditioning("affine")`
    - pix2pixHD++ with Concat: `Conditioning("affine", concat="convs")`
    - pix2pixHD++ with SPADE: `Conditioning("spade")`

    The text of the paper describes "convs": 212 million weights on ADE20K. Its table has the 195
    million of "blocks". Hinge loss, two time scales and initialisation belong to training.

    Args:
        num_labels: int >= 1, label ids, the unknown one included.
        image_size: `(height, width)` in pixels, multiples of `2 ** num_downsamplings` and at
            least twice that. Any other such size can be made too.
        use_instance_edges: bool, whether instance edges follow the labels. Default False.
        filters: int >= 1, base width. Default 64.
        num_downsamplings: int >= 1, halvings of the resolution. Default 4.
        num_blocks: int >= 0, residual blocks. Default 9.
        initial_kernel_size: odd int, kernel size of the first convolution. Default 7.
        block_kernel_size: odd int, kernel size of convolutions in residual blocks. Default 3.
        down_padding: of convolutions of stride 2: "reflect" (the paper) or "zeros" (its releases).
        spectral_norm: bool, whether all convolutions but the last are spectrally normalised; those
            inside SPADE never are. Default False.
        conditioning: a `Conditioning`: the normalisation after each convolution, its scale and
            shift, and what is concatenated. Of kind "none", its `norm` may be "none", too: the
            convolutions then have a bias. A kind alone, such as "spade", keeps the default's
            `norm`. Default `Conditioning("none", norm="instance")`.
        z_dim: int, length of the style vector; for conditioning "adain" alone. Default None.

    Call arguments:
        inputs: a `Semantics`; or a mapping with `label` int `[B, H, W]` and, with edges,
            `instance` int `[B, H, W]`; or the int label ids alone; or a dense float map
            `[B, H, W, C]`.
        z: `[B, z_dim]`, drawn from a standard normal when None; ignored without a `z_dim`.
        training: bool.

    Returns:
        float32 `[B, H, W, 3]` in [-1, 1].

    Raises:
        ValueError: for a size that cannot be made, or arguments or inputs that do not fit.

    Reference: Wang et al. 2018, section 3.2 and appendix, https://arxiv.org/abs/1711.11585 (the
        global generator); Park et al. 2019, section 4 and table 3 (the variants).

    Example:
        >>> import numpy as np
        >>> from spade_tf import Pix2PixHDGenerator
        >>> network = Pix2PixHDGenerator(3, (16, 16), filters=1, num_downsamplings=2, num_blocks=1)
        >>> tuple(network(np.zeros((1, 16, 16), "int32")).shape)
        (1, 16, 16, 3)
    """

    def __init__(
        self,
        num_labels: int,
        image_size: tuple[int, int] = (256, 256),
        use_instance_edges: bool = False,
        filters: int = 64,
        num_downsamplings: int = 4,
        num_blocks: int = 9,
        initial_kernel_size: int = 7,
        block_kernel_size: int = 3,
        down_padding: str = "reflect",
        spectral_norm: bool = False,
        conditioning: str | Conditioning = _PLAIN,
        z_dim: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_labels = num_labels
        self.image_size = (image_size[0], image_size[1])
        self.use_instance_edges = use_instance_edges
        self.filters = filters
        self.num_downsamplings = num_downsamplings
        self.num_blocks = num_blocks
        self.initial_kernel_size = initial_kernel_size
        self.block_kernel_size = block_kernel_size
        self.down_padding = down_padding
        self.spectral_norm = spectral_norm
        self.conditioning = Conditioning.of(conditioning, _PLAIN)
        self.z_dim = z_dim
        self._check_arguments()
        self.semantic_channels = num_labels + int(use_instance_edges)
        self.scale = 2**num_downsamplings
        # Reflection by n pixels takes n + 1 of them: in the blocks, and at full size.
        self.smallest_size = max(
            (block_kernel_size // 2 + 1) * self.scale, initial_kernel_size // 2 + 1, 4
        )
        self._check_size(*self.image_size)
        self._make_layers()
        # All shapes are known, so that weights exist (to be restored) before the first call.
        self.build()

    def _check_arguments(self):
        if self.filters < 1 or self.num_downsamplings < 1 or self.num_blocks < 0:
            raise ValueError(
                "filters and num_downsamplings must be >= 1, num_blocks >= 0: received "
                f"filters={self.filters}, num_downsamplings={self.num_downsamplings}, "
                f"num_blocks={self.num_blocks}"
            )
        if self.initial_kernel_size % 2 == 0 or self.block_kernel_size % 2 == 0:
            raise ValueError(
                "initial_kernel_size and block_kernel_size must be odd: received "
                f"{self.initial_kernel_size} and {self.block_kernel_size}"
            )
        if self.down_padding not in ("reflect", "zeros"):
            raise ValueError(
                f"down_padding must be one of reflect, zeros: received {self.down_padding!r}"
            )
        check_conditioning(self.conditioning, self.z_dim)
        kind = self.conditioning.kind
        if self.conditioning.norm == "none" and kind != "none":
            raise ValueError(
                f"norm='none' leaves nothing to scale: received conditioning of kind {kind!r}; "
                "give 'none'"
            )
        if self.conditioning.class_style_dim:
            raise ValueError(
                "styles of classes are for SPADEGenerator: received class_style_dim="
                f"{self.conditioning.class_style_dim}; give 0"
            )
        if self.z_dim is not None and kind != "adain":
            raise ValueError(
                f"z_dim is for conditioning 'adain' alone: received z_dim={self.z_dim} with "
                f"{kind!r}"
            )

    def _make_layers(self):
        self.predictor = None
        self.condition_channels = self.semantic_channels
        if self.conditioning.kind == "shared_spade":
            self.predictor = SharedPredictor(
                self.semantic_channels,
                hidden_filters=self.conditioning.hidden_filters,
                kernel_size=self.conditioning.kernel_size,
                dtype=self.dtype_policy,
                name="predictor",
            )
            self.condition_channels = self.conditioning.hidden_filters
        widths = [self.filters * 2**index for index in range(self.num_downsamplings + 1)]
        self.conv_in = self._conv(widths[0], self.initial_kernel_size, "conv_in")
        self.norm_in = self._norm("norm_in")
        self.downs = [
            self._conv(width, 3, f"down_{index}", strides=2)
            for index, width in enumerate(widths[1:])
        ]
        self.down_norms = [
            self._norm(f"down_norm_{index}") for index in range(self.num_downsamplings)
        ]
        # Flat, two by two: Keras saves no lists within lists.
        places = [f"{index}_{place}" for index in range(self.num_blocks) for place in range(2)]
        self.block_convs = [
            self._conv(widths[-1], self.block_kernel_size, f"block_conv_{place}")
            for place in places
        ]
        self.block_norms = [self._norm(f"block_norm_{place}") for place in places]
        self.ups = [
            self._transposed_conv(width, f"up_{index}")
            for index, width in enumerate(reversed(widths[:-1]))
        ]
        self.up_norms = [self._norm(f"up_norm_{index}") for index in range(self.num_downsamplings)]
        # The last convolution is float32: half precision would quantise the picture.
        self.conv_img = NarrowConv2D(
            3, 7, kernel_initializer=xavier_normal(), dtype="float32", name="conv_img"
        )

    def _conv(self, filters, kernel_size, name, strides=1):
        common = {
            "strides": strides,
            "padding": "valid",
            # A norm that follows would take a bias away again.
            "use_bias": self.conditioning.norm == "none",
            "dtype": self.dtype_policy,
            "name": name,
        }
        if self.spectral_norm:
            return SpectralConv2D(filters, kernel_size, **common)
        return keras.layers.Conv2D(
            filters, kernel_size, kernel_initializer=xavier_normal(), **common
        )

    def _transposed_conv(self, filters, name):
        use_bias = self.conditioning.norm == "none"
        common = {"strides": 2, "use_bias": use_bias, "dtype": self.dtype_policy, "name": name}
        if self.spectral_norm:
            return SpectralConv2DTranspose(filters, 3, **common)
        return keras.layers.Conv2DTranspose(
            filters, 3, padding="valid", kernel_initializer=xavier_normal(), **common
        )

    def _norm(self, name):
        return get_conditional_norm(
            self.conditioning,
            semantic_channels=self.condition_channels,
            embedding_dim=self.z_dim,
            dtype=self.dtype_policy,
            layer_name=name,
        )

    def build(self, _=None):
        if self.built:
            return

        def build(conv, norm, channels, concat):
            channels += self.condition_channels if concat else 0
            conv.build((None, None, None, channels))
            if norm is not None:
                norm.build((None, None, None, conv.filters))
            return conv.filters

        everywhere, in_blocks = self._concatenates()
        if self.predictor is not None:
            self.predictor.build()
        channels = build(self.conv_in, self.norm_in, self.semantic_channels, False)
        for conv, norm in zip(self.downs, self.down_norms, strict=True):
            channels = build(conv, norm, channels, everywhere)
        for index, (conv, norm) in enumerate(zip(self.block_convs, self.block_norms, strict=True)):
            build(conv, norm, channels, everywhere if index % 2 else in_blocks)
        for conv, norm in zip(self.ups, self.up_norms, strict=True):
            channels = build(conv, norm, channels, everywhere)
        build(self.conv_img, None, channels, everywhere)

    def call(self, inputs, z=None, training=False):
        semantics = Semantics.from_inputs(
            inputs,
            num_labels=self.num_labels,
            use_instance_edges=self.use_instance_edges,
            dtype=self.compute_dtype,
        )
        self._check_size(*semantics.shape[1:])
        if self.z_dim is not None and z is None:
            z = draw_style(semantics, self.z_dim)
        condition = conditions_by_scale(semantics, self.predictor)
        everywhere, in_blocks = self._concatenates()

        def concatenate(x, scale):
            return tf.concat([x, tf.cast(condition(scale).dense, x.dtype)], -1)

        def convolve(conv, x):
            return conv(x, training=training) if self.spectral_norm else conv(x)

        def normalize(norm, x, scale):
            return norm(x, semantics=condition(scale), embedding=z, training=training)

        x = convolve(self.conv_in, pad(semantics.dense, self.initial_kernel_size // 2))
        x = tf.nn.relu(normalize(self.norm_in, x, 1))
        scale = 1
        for conv, norm in zip(self.downs, self.down_norms, strict=True):
            x = concatenate(x, scale) if everywhere else x
            x = convolve(conv, pad(x, 1, self.down_padding))
            scale *= 2
            x = tf.nn.relu(normalize(norm, x, scale))
        pixels = self.block_kernel_size // 2
        layers = list(zip(self.block_convs, self.block_norms, strict=True))
        for (conv_0, norm_0), (conv_1, norm_1) in zip(layers[::2], layers[1::2], strict=True):
            y = concatenate(x, scale) if in_blocks else x
            y = tf.nn.relu(normalize(norm_0, convolve(conv_0, pad(y, pixels)), scale))
            y = concatenate(y, scale) if everywhere else y
            x += normalize(norm_1, convolve(conv_1, pad(y, pixels)), scale)
        for conv, norm in zip(self.ups, self.up_norms, strict=True):
            x = concatenate(x, scale) if everywhere else x
            # 2 H + 1 rows, of which PyTorch's padding of 1 drops the first.
            x = convolve(conv, x)[:, 1:, 1:]
            scale //= 2
            x = tf.nn.relu(normalize(norm, x, scale))
        x = concatenate(x, 1) if everywhere else x
        return tf.tanh(self.conv_img(pad(tf.cast(x, tf.float32), 3), training=training))

    def _concatenates(self):
        """Whether the label map is concatenated everywhere, and in blocks."""
        concat = self.conditioning.concat
        return concat == "convs", concat is not None

    def _check_size(self, height, width):
        if height is None or width is None:
            return
        check_image_size((height, width), self.scale)
        if min(height, width) < self.smallest_size:
            raise ValueError(
                f"height and width must be at least {self.smallest_size} with "
                f"{self.num_downsamplings} downsamplings: received {height}x{width}"
            )

    def compute_output_shape(self, inputs_shape, z_shape=None):
        return (*map_shape(inputs_shape), 3)

    def get_config(self):
        return {
            **super().get_config(),
            "num_labels": self.num_labels,
            "image_size": self.image_size,
            "use_instance_edges": self.use_instance_edges,
            "filters": self.filters,
            "num_downsamplings": self.num_downsamplings,
            "num_blocks": self.num_blocks,
            "initial_kernel_size": self.initial_kernel_size,
            "block_kernel_size": self.block_kernel_size,
            "down_padding": self.down_padding,
            "spectral_norm": self.spectral_norm,
            "conditioning": self.conditioning._asdict(),
            "z_dim": self.z_dim,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes a generator from what `get_config` gives, or gave in earlier versions."""
        return super().from_config(Conditioning.in_config(config), custom_objects)
