"""The SPADE generator for inference: the same pictures in less time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import keras
import tensorflow as tf

from spade_tf.layers.normalization import BatchNorm
from spade_tf.layers.semantics import Semantics
from spade_tf.networks.fused.block import FusedBlock
from spade_tf.networks.fused.convolution import Algorithm, FusedConv2D, FusedDense
from spade_tf.networks.fused.noise_input import FusedNoiseInput
from spade_tf.networks.fused.spade import ScaleAndShift
from spade_tf.networks.sizes import check_label_size
from spade_tf.networks.styles import draw_style, with_drawn_class_styles
from spade_tf.networks.upsampling import upsample

# Up to so many pixels per map, a product of matrices is faster than a convolution: 1.3 times as
# fast at 8x8 and 16x16 with 1024 channels, as measured. At 32x32 it is not.
_SMALL_MAP = 256

# Winograd's filtering is faster for maps with numbers of pixels in this range, as measured at
# 16x16, 32x32 and 64x64. For smaller maps, reading the kernels takes most of the time. For larger
# ones, what comes before and after the products does.
_WINOGRAD = range(256, 4097)

# Up to so many pixels per map, blocks make all styles of one label map at once, and read their
# weights once. Above it they make one style after the other, so that features stay in the caches.
_TOGETHER = 1024

# What generators are called with; see `SPADEGenerator`.
Inputs: TypeAlias = Semantics | Mapping[str, tf.Tensor] | tf.Tensor


class NotFusibleError(ValueError):
    """A generator whose conditioning or normalisation has no fused form."""


def check_fusible(generator: keras.Model) -> None:
    """Raises a NotFusibleError if a `SPADEGenerator` has no fused form."""
    kind, concat = generator.conditioning.kind, generator.conditioning.concat
    if kind != "spade" or concat is not None:
        raise NotFusibleError(
            "only generators with conditioning 'spade' and no concat can be fused: received "
            f"conditioning={kind!r}, concat={concat!r}"
        )
    if not isinstance(generator.blocks[0].spade_0.normalization, BatchNorm):
        raise NotFusibleError(
            "only batch normalisation can be folded into SPADE: received norm="
            f"{generator.conditioning.norm!r}; run the generator as it is"
        )


class FusedGenerator(tf.Module):
    """A SPADE generator for inference alone: the same pictures, up to rounding, in less time.

    The convolutions of SPADE absorb the running statistics. The kernels of the blocks are divided
    by their spectral norms once. Weights are held in the type that is computed in.

    Args:
        generator: a `SPADEGenerator` with conditioning "spade", norm "batch" or "local_batch", and
            no `concat`. Its weights are copied: later changes of the generator have no effect.
        dtype: "float32" or "bfloat16".
        jit_compile: bool, whether XLA compiles the element-wise parts. It compiles once for each
            size of label map and each power of two of the number of distinct neighbourhoods, and
            is faster from the second call on. Default False: SavedModels then also run where
            there is no XLA.
        winograd: bool, whether Winograd's filtering computes float32 convolutions of maps of
            16x16 to 64x64 pixels. It takes 4/9 of the multiplications, and its kernels 16/9 of
            the memory. It needs XLA, and is faster where TensorFlow multiplies matrices by
            oneDNN. Default False.

    Call arguments:
        inputs: see `SPADEGenerator`.
        z: `[B, z_dim]`, drawn from a standard normal when None; ignored without a `z_dim`. For
            one label map and several styles, what depends on the labels alone is computed once.

    Returns:
        float32 `[B, H, W, 3]` in [-1, 1].

    Raises:
        NotFusibleError: if the generator cannot be fused.

    Example:
        >>> import numpy as np
        >>> from spade_tf import SPADEGenerator
        >>> from spade_tf.networks import FusedGenerator
        >>> generator = SPADEGenerator(3, image_size=(32, 32), filters=1)
        >>> label = np.zeros((1, 32, 32), "int32")
        >>> fused = FusedGenerator(generator)
        >>> bool(np.allclose(fused({"label": label}), generator(label), atol=1e-4))
        True
    """

    def __init__(
        self,
        generator: keras.Model,
        dtype: str = "float32",
        jit_compile: bool = False,
        winograd: bool = False,
    ):
        super().__init__(name=generator.name)
        if dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype must be float32 or bfloat16: received {dtype!r}")
        check_fusible(generator)
        self.compute_dtype = dtype
        self.jit_compile = jit_compile
        self.num_labels = generator.num_labels
        self.image_size = generator.image_size
        self.use_instance_edges = generator.use_instance_edges
        self.z_dim = generator.z_dim
        self.class_style_dim = generator.class_style_dim
        self.upsampling = generator.upsampling
        self.scale = generator.scale
        self.smallest_size = generator.smallest_size
        self.starts_from_z = generator.starts_from_z
        self.widths = list(generator.widths)
        self.upsamples = [generator.upsamples_before(i) for i in range(len(self.widths))]
        compute = tf.as_dtype(dtype)
        self.fc = (
            FusedDense(generator.fc, compute)
            if self.starts_from_z
            else FusedConv2D(generator.fc, compute, padding=generator.padding)
        )
        # Of all blocks but the first; none if they take no noise.
        self.noises = [FusedNoiseInput(noise, compute) for noise in generator.noises]
        self.blocks = []
        for block, scale in zip(generator.blocks, generator.block_scales, strict=True):
            pixels = math.prod(length // scale for length in self.image_size)
            algorithm: Algorithm = "product" if pixels <= _SMALL_MAP else "convolution"
            # Winograd's tiles want even heights and widths, which upsampled maps have.
            if winograd and scale < self.scale and pixels in _WINOGRAD:
                algorithm = "winograd"
            self.blocks.append(self.make_block(block, compute, algorithm))
        # Float32, as in the generator: half precision would quantise the picture.
        self.conv_img = FusedConv2D(generator.conv_img, tf.float32, padding=generator.padding)

    def make_block(
        self, block: keras.layers.Layer, dtype: tf.DType, algorithm: Algorithm
    ) -> FusedBlock:
        """Makes what takes the place of a block of the generator."""
        return FusedBlock(block, dtype, algorithm, self.jit_compile, self.upsampling)

    def __call__(
        self, inputs: Inputs, z: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        if training:
            raise ValueError("a fused generator is for inference: train the one it was made of")
        semantics = self.semantics(inputs)
        scale, x, label = self.scale, self.start(semantics, z), semantics.label
        many = label is not None and label.shape[0] == 1 and x.shape[0] != 1
        later: list[tuple[int, list[ScaleAndShift]]] = []
        for index, (block, upsamples) in enumerate(zip(self.blocks, self.upsamples, strict=True)):
            scale //= 2 if upsamples else 1
            here = semantics.downsample(scale)
            height, width = (size // scale for size in self.image_size)
            if many and height * width > _TOGETHER:
                later.append((index, block.scales_and_shifts(here)))
            else:
                x = self.apply_block(index, x, here)
        if not later:
            return self.finish(x)

        def one_style(x):
            x = x[None]
            for index, scales_and_shifts in later:
                x = self.apply_block(index, x, scales_and_shifts)
            return self.finish(x)[0]

        picture = tf.TensorSpec([None, None, 3], tf.float32)
        # One style after the other: several at once would not stay in the caches.
        return tf.map_fn(one_style, x, fn_output_signature=picture, parallel_iterations=1)

    def semantics(self, inputs: Inputs) -> Semantics:
        """The label map, and styles of its classes if there are any, which all blocks see."""
        semantics = Semantics.from_inputs(
            inputs,
            num_labels=self.num_labels,
            use_instance_edges=self.use_instance_edges,
            dtype=self.compute_dtype,
        )
        size = self.image_size if self.starts_from_z else None
        check_label_size(semantics, self.scale, size, self.smallest_size)
        return with_drawn_class_styles(semantics, self.num_labels, self.class_style_dim)

    def start(self, semantics: Semantics, z: tf.Tensor | None) -> tf.Tensor:
        """The first feature map."""
        if not self.starts_from_z:
            return self.fc(semantics.downsample(self.scale).dense)
        z = draw_style(semantics, self.z_dim) if z is None else z
        height, width = (size // self.scale for size in self.image_size)
        x = self.fc(tf.cast(z, self.compute_dtype))
        return tf.reshape(x, [-1, height, width, self.widths[0]])

    def apply_block(
        self, index: int, x: tf.Tensor, semantics: Semantics | list[ScaleAndShift]
    ) -> tf.Tensor:
        """A block, with the upsampling and the noise that come before it."""
        upsamples = self.upsamples[index]
        if index and self.noises:
            x = self.noises[index - 1](upsample(x, self.upsampling) if upsamples else x)
            upsamples = False
        return self.blocks[index](x, semantics, upsamples=upsamples)

    def finish(self, x: tf.Tensor) -> tf.Tensor:
        """From the last feature map to the picture."""
        return tf.tanh(self.conv_img(tf.nn.leaky_relu(tf.cast(x, tf.float32), 0.2)))
