"""The SPADE generator."""

from __future__ import annotations

import itertools

import keras
import tensorflow as tf

from spade_tf.layers.conditioning import Conditioning, check_conditioning, conditions_by_scale
from spade_tf.layers.convolution import NarrowConv2D
from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.noise_input import NoiseInput
from spade_tf.layers.padding import check_padding, conv_padding, padded_for
from spade_tf.layers.rematerialization import rematerialize
from spade_tf.layers.semantic_inputs import map_shape
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.shared_predictor import SharedPredictor
from spade_tf.layers.spade_resnet_block import SPADEResnetBlock
from spade_tf.layers.symbolic import TracesSymbolicCalls
from spade_tf.networks.fused.generator import FusedGenerator
from spade_tf.networks.sizes import check_image_size, check_label_size
from spade_tf.networks.styles import draw_style, with_drawn_class_styles
from spade_tf.networks.upsampling import check_upsampling, upsample

# How many times the picture is larger than the first feature map, as a power of two.
UPSAMPLINGS = {"normal": 5, "more": 6, "most": 7}


@keras.saving.register_keras_serializable("spade_tf")
class SPADEGenerator(TracesSymbolicCalls, keras.Model):
    """From a label map, and optionally a style z, to a picture.

    A first feature map, from z by a dense layer or from the semantics by a convolution, goes
    through SPADE residual blocks with upsampling between them; then leaky ReLU, a 3x3 convolution
    to three channels, and tanh.

    Args:
        num_labels: int >= 1, label ids, the unknown one included.
        image_size: `(height, width)` in pixels, multiples of 32 (64 for "more", 128 for "most").
            With a `z_dim` it is the size that is made; without, any such size can be.
        use_instance_edges: bool, whether instance edges follow the labels. Default False.
        filters: int >= 1 (even for "most"), base width (`nf`). Default 64.
        num_upsampling_layers: "normal" (5), "more" (6) or "most" (7). Default "normal".
        z_dim: int, length of the style vector that the generator starts from; None to start from
            the semantics. With conditioning "adain", z is what the blocks are conditioned on, and
            the start is the semantics. Default None.
        spectral_norm: bool, whether the blocks' convolutions are spectrally normalised.
            Default True.
        conditioning: a `Conditioning`: what takes the place of normalisation in the blocks, and
            how; or its kind alone, such as "clade". Default "spade".
        rematerialize: bool, whether training computes the blocks again for their gradients, which
            takes less memory and more time. Default False.
        upsampling: "nearest", as in the official release, or "bilinear": without the steps
            between repeated pixels, which later blocks must learn to smooth. Default "nearest".
        padding: of the inputs of all 3x3 convolutions, SPADE's included: "zeros", as in the
            official release, by which the network sees where the border is; or "reflect" (for
            pictures of at least twice the smallest size) or "replicate". Default "zeros".
        noise_inputs: bool, whether all blocks but the first are given noise to make grain from:
            see `NoiseInput`. Default False, as in the official release.

    Call arguments:
        inputs: a `Semantics`; or a mapping with `label` int `[B, H, W]` and, with edges,
            `instance` int `[B, H, W]`; or the int label ids alone; or a dense float map
            `[B, H, W, C]`. With a `class_style_dim` of the conditioning, D, a `Semantics` or a
            mapping may hold `class_styles`, float `[B, num_labels, D]`, a style of each class;
            they are drawn from a standard normal where it does not.
        z: `[B, z_dim]`, drawn from a standard normal when None; ignored without a `z_dim`.
        training: bool.
        return_features: bool, whether to return what each block makes, too. Default False.

    Returns:
        float32 `[B, H, W, 3]` in [-1, 1]. With `return_features`, that and a list with, for each
        of `blocks`, `[B, H / s, W / s, C]`, where s is its place in `block_scales`.

    Raises:
        ValueError: for a size that cannot be made, inputs that do not fit, or arguments by which
            nothing would see the label map.

    Reference: Park et al. 2019, figure 4 and appendix A, and table 3 for the decoder with Concat
        and the compact ones (48 filters). Differs from the official release in
        layout alone: channels are last, z's dense layer included.

    Example:
        >>> import numpy as np
        >>> from spade_tf import Conditioning, SPADEGenerator
        >>> small = Conditioning("spade", hidden_filters=2)
        >>> generator = SPADEGenerator(3, image_size=(32, 32), filters=1, conditioning=small)
        >>> tuple(generator(np.zeros((1, 32, 32), "int32")).shape)
        (1, 32, 32, 3)
    """

    def __init__(
        self,
        num_labels: int,
        image_size: tuple[int, int] = (256, 256),
        use_instance_edges: bool = False,
        filters: int = 64,
        num_upsampling_layers: str = "normal",
        z_dim: int | None = None,
        spectral_norm: bool = True,
        conditioning: str | Conditioning = "spade",
        rematerialize: bool = False,
        upsampling: str = "nearest",
        padding: str = "zeros",
        noise_inputs: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_labels = num_labels
        self.image_size = (image_size[0], image_size[1])
        self.use_instance_edges = use_instance_edges
        self.filters = filters
        self.num_upsampling_layers = num_upsampling_layers
        self.z_dim = z_dim
        self.spectral_norm = spectral_norm
        self.rematerialize = rematerialize
        self.conditioning = Conditioning.of(conditioning)
        self.class_style_dim = self.conditioning.class_style_dim
        check_conditioning(self.conditioning, z_dim)
        self.upsampling = upsampling
        self.padding = padding
        self.noise_inputs = noise_inputs
        self.starts_from_z = z_dim is not None and self.conditioning.kind != "adain"
        self._check_arguments()
        self.semantic_channels = num_labels + int(use_instance_edges)
        self.scale = 2 ** UPSAMPLINGS[num_upsampling_layers]
        self.smallest_size = self.scale * self._smallest_start()
        check_image_size(self.image_size, self.scale, self.smallest_size)
        self._make_layers()
        # All shapes are known, so that weights exist (to be restored) before the first call.
        self.build()

    def _check_arguments(self):
        if self.num_upsampling_layers not in UPSAMPLINGS:
            raise ValueError(
                f"num_upsampling_layers must be one of {', '.join(UPSAMPLINGS)}: "
                f"received {self.num_upsampling_layers!r}"
            )
        if self.filters < 1 or (self.num_upsampling_layers == "most" and self.filters % 2):
            raise ValueError(f"filters must be >= 1, and even for 'most': received {self.filters}")
        check_upsampling(self.upsampling)
        check_padding(self.padding)
        kind, concat = self.conditioning.kind, self.conditioning.concat
        unseen = kind in ("affine", "none") and concat is None
        if self.starts_from_z and unseen:
            raise ValueError(
                f"a generator that starts from z with conditioning {kind!r} would not "
                f"see the label map: give Conditioning({kind!r}, concat='convs'), or no z_dim"
            )
        if self.rematerialize and self.class_style_dim:
            raise ValueError(
                "rematerialize=True keeps no gradient for the styles of classes: received "
                f"class_style_dim={self.class_style_dim}; give one or the other"
            )
        if self.rematerialize and kind == "shared_spade":
            raise ValueError(
                "rematerialize=True keeps no gradient for the predictor of "
                "conditioning='shared_spade': give one or the other"
            )

    def _smallest_start(self):
        """Height and width of the smallest first feature map: reflection by n takes n + 1."""
        if self.padding != "reflect":
            return 1
        convolves_labels = self.conditioning.kind in ("spade", "shared_spade")
        return max(3, self.conditioning.kernel_size if convolves_labels else 1) // 2 + 1

    def _make_layers(self):
        widths: list[float] = [16, 16, 16, 8, 4, 2, 1]
        names = ["head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3"]
        if self.num_upsampling_layers == "most":
            widths.append(0.5)
            names.append("up_4")
        self.widths = [int(width * self.filters) for width in widths]
        self.fc = self._first_layer()
        self.predictor = None
        condition_channels = self.semantic_channels
        if self.conditioning.kind == "shared_spade":
            self.predictor = SharedPredictor(
                self.semantic_channels,
                hidden_filters=self.conditioning.hidden_filters,
                kernel_size=self.conditioning.kernel_size,
                padding=self.padding,
                dtype=self.dtype_policy,
                name="predictor",
            )
            condition_channels = self.conditioning.hidden_filters
        self.blocks = [
            SPADEResnetBlock(
                width,
                condition_channels,
                spectral_norm=self.spectral_norm,
                conditioning=self.conditioning,
                embedding_dim=self.z_dim,
                padding=self.padding,
                dtype=self.dtype_policy,
                name=name,
            )
            for width, name in zip(self.widths, names, strict=True)
        ]
        # Of all blocks but the first.
        sizes = [[size // scale for size in self.image_size] for scale in self.block_scales]
        self.noises = [
            NoiseInput(size, index, dtype=self.dtype_policy, name=f"noise_{index}")
            for index, size in enumerate(sizes[1:] if self.noise_inputs else [], start=1)
        ]
        # The last convolution is float32: half precision would quantise the picture.
        self.conv_img = NarrowConv2D(
            3,
            3,
            padding=conv_padding(self.padding),
            kernel_initializer=xavier_normal(),
            dtype="float32",
            name="conv_img",
        )

    def _first_layer(self):
        common = {"kernel_initializer": xavier_normal(), "dtype": self.dtype_policy, "name": "fc"}
        if not self.starts_from_z:
            padding = conv_padding(self.padding)
            return keras.layers.Conv2D(self.widths[0], 3, padding=padding, **common)
        height, width = (size // self.scale for size in self.image_size)
        return keras.layers.Dense(self.widths[0] * height * width, **common)

    def build(self, _=None):
        if self.built:
            return
        if self.starts_from_z:
            self.fc.build((None, self.z_dim))
        else:
            self.fc.build((None, None, None, self.semantic_channels))
        if self.predictor is not None:
            self.predictor.build()
        channels = self.widths[0]
        for index, block in enumerate(self.blocks):
            if index and self.noises:
                self.noises[index - 1].build((None, None, None, channels))
            block.build((None, None, None, channels))
            channels = block.filters
        if self.conditioning.concat == "convs":
            channels += self.blocks[-1].semantic_channels
        self.conv_img.build((None, None, None, channels))

    def call(self, inputs, z=None, training=False, return_features=False):
        semantics = Semantics.from_inputs(
            inputs,
            num_labels=self.num_labels,
            use_instance_edges=self.use_instance_edges,
            dtype=self.compute_dtype,
        )
        size = self.image_size if self.starts_from_z else None
        check_label_size(semantics, self.scale, size, self.smallest_size)
        semantics = with_drawn_class_styles(semantics, self.num_labels, self.class_style_dim)
        z = self._style(semantics, z)
        x = self._start(semantics, z)
        condition = conditions_by_scale(semantics, self.predictor)
        features = []
        for index, (block, scale) in enumerate(zip(self.blocks, self.block_scales, strict=True)):
            if self.upsamples_before(index):
                x = upsample(x, self.upsampling)
            if index and self.noises:
                x = self.noises[index - 1](x)
            x = self._apply(block, x, condition(scale), z, training)
            features.append(x)
        x = tf.nn.leaky_relu(tf.cast(x, tf.float32), 0.2)
        if self.conditioning.concat == "convs":
            x = tf.concat([x, tf.cast(condition(1).dense, tf.float32)], -1)
        image = tf.tanh(self.conv_img(padded_for(x, 3, self.padding), training=training))
        return (image, features) if return_features else image

    def _apply(self, block, x, semantics, z, training):
        def call(x, z=z):
            return block(x, semantics=semantics, embedding=z, training=training)

        if not (self.rematerialize and training):
            return call(x)
        return rematerialize(call)(x) if z is None else rematerialize(call)(x, z)

    def _style(self, semantics, z):
        if self.z_dim is None:
            return None
        return draw_style(semantics, self.z_dim) if z is None else z

    def _start(self, semantics, z):
        if not self.starts_from_z:
            return self.fc(padded_for(semantics.downsample(self.scale).dense, 3, self.padding))
        height, width = (size // self.scale for size in self.image_size)
        return tf.reshape(self.fc(z), [-1, height, width, self.widths[0]])

    def upsamples_before(self, index: int) -> bool:
        """Whether a block works at twice the resolution of the one before."""
        # head, up, middle, (up), middle, then up before every block.
        if index == 2:
            return self.num_upsampling_layers != "normal"
        return index == 1 or index > 2

    @property
    def block_scales(self) -> list[int]:
        """How many times the picture is larger than what each block makes."""
        doublings = [int(self.upsamples_before(index)) for index in range(len(self.blocks))]
        return [self.scale // 2**count for count in itertools.accumulate(doublings)]

    def fuse(
        self, dtype: str = "float32", jit_compile: bool = False, winograd: bool = False
    ) -> FusedGenerator:
        """A copy for inference, in less time: see `FusedGenerator`.

        Args:
            dtype: "float32" or "bfloat16", of its weights and of what it computes in.
            jit_compile: bool, whether XLA compiles the element-wise parts.
            winograd: bool, whether Winograd's filtering computes convolutions of smaller maps.

        Returns:
            A `FusedGenerator`, called as this generator is.

        Raises:
            NotFusibleError: if the conditioning or the normalisation cannot be fused.
        """
        return FusedGenerator(self, dtype, jit_compile, winograd)

    def compute_output_shape(self, inputs_shape, z_shape=None):
        batch, height, width = map_shape(inputs_shape)
        size = self.image_size if self.starts_from_z else (height, width)
        return (batch, *size, 3)

    def get_config(self):
        return {
            **super().get_config(),
            "num_labels": self.num_labels,
            "image_size": self.image_size,
            "use_instance_edges": self.use_instance_edges,
            "filters": self.filters,
            "num_upsampling_layers": self.num_upsampling_layers,
            "z_dim": self.z_dim,
            "spectral_norm": self.spectral_norm,
            "conditioning": self.conditioning._asdict(),
            "rematerialize": self.rematerialize,
            "upsampling": self.upsampling,
            "padding": self.padding,
            "noise_inputs": self.noise_inputs,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes a generator from what `get_config` gives, or gave in earlier versions."""
        return super().from_config(Conditioning.in_config(config), custom_objects)
