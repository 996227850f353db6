"""The SPADE generator as it is best run when its weights are final."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spade_tf.layers.modulation import hidden_table, prefers_lookup, sum_rows
from spade_tf.layers.normalization import BatchNorm
from spade_tf.layers.semantics import Semantics
from spade_tf.networks.fused import winograd as filtering
from spade_tf.networks.generator import check_label_size, draw_style, upsample

# Pixels up to which a product of matrices is faster than a convolution, as measured: 1.3 times at
# 8x8 and 16x16 with 1024 channels, not at 32x32.
_SMALL_MAP = 256

# Pixels, of all maps of a batch, up to which modulation is looked up however diverse they are: the
# product of matrices that it takes then is no larger than the convolution would be, and faster.
_FEW_PIXELS = 256

# Pixels of maps from which, and below which, Winograd's filtering is faster, as measured at 16x16,
# 32x32 and 64x64. Of smaller ones, reading kernels takes the time; of larger ones, what comes
# before and after the products.
_WINOGRAD = (256, 4097)

# Pixels of a map up to which blocks make many styles of a layout together: their weights are read
# once then. Above it, features of one style at a time stay in the caches.
_TOGETHER = 1024


class Modulation(NamedTuple):
    """Scale and shift of one layer.

    Attributes:
        scale: `[n, C]`; or `[B, H, W, C]`, where there are no `ids`.
        shift: likewise.
        ids: int32 `[B, H, W]` in `[0, n)`, which of the rows is at each pixel; or None.
    """

    scale: tf.Tensor
    shift: tf.Tensor
    ids: tf.Tensor | None

    def at_pixels(self) -> Modulation:
        """The same without `ids`."""
        if self.ids is None:
            return self
        return Modulation(tf.gather(self.scale, self.ids), tf.gather(self.shift, self.ids), None)


class FusedSPADE(tf.Module):
    """Batch normalisation, SPADE and leaky ReLU as one look-up and one multiply-add.

    At inference, `(x - mean) / std * (1 + gamma) + beta` is `x * scale + shift` with `scale` and
    `shift` affine in the hidden features, as gamma and beta are: mean and variance are folded into
    the last convolutions, which become one.

    Args:
        spade: a built SPADE layer that normalises by running statistics.
        dtype: what weights are held in, and computed in.
        slope: float, of the leaky ReLU for negative values; 1 for none.
        jit_compile: bool, whether XLA makes one loop of looking up, multiplying, adding and leaky
            ReLU (and of upsampling before it).
    """

    def __init__(
        self, spade: keras.layers.Layer, dtype: tf.DType, slope: float, jit_compile: bool = False
    ):
        super().__init__(name=spade.name)
        self.slope = slope
        self.jit_compile = jit_compile
        self.modulation = spade.modulation.form
        self.kernel_size = spade.kernel_size
        norm, layer = spade.normalization, spade.modulation
        mean, variance = _array(norm.moving_mean), _array(norm.moving_variance)
        gamma, gamma_bias = _array(layer.gamma.kernel), _array(layer.gamma.bias)
        beta, beta_bias = _array(layer.beta.kernel), _array(layer.beta.bias)
        inverse = 1.0 / np.sqrt(variance + norm.epsilon)
        scale, scale_bias = gamma * inverse, (1.0 + gamma_bias) * inverse
        shift, shift_bias = beta - mean * scale, beta_bias - mean * scale_bias
        self.hidden_kernel = _constant(_array(layer.shared.kernel), dtype)
        self.hidden_bias = _constant(_array(layer.shared.bias), dtype)
        # As one matrix, from hidden features to what they add at each tap.
        kernel = np.concatenate([scale, shift], -1)
        kernel = np.moveaxis(kernel, 2, 0)
        self.kernel = _constant(kernel.reshape(len(kernel), -1), dtype)
        self.bias = _constant(np.concatenate([scale_bias, shift_bias], -1), dtype)

    def __call__(
        self,
        x: tf.Tensor,
        semantics: Semantics | Modulation,
        upsamples: bool = False,
    ) -> tf.Tensor:
        """Normalised, modulated and activated `x`.

        Args:
            x: `[B, H, W, C]`.
            semantics: at that size, or what this layer made of it before; of one example, it goes
                for the whole batch.
            upsamples: bool, whether `x` is to be made twice as high and wide first.
        """
        if not isinstance(semantics, Modulation):
            # As soon as labels are known, the tables of all layers could be made, and would fill
            # the memory.
            semantics = self.modulation_of(semantics, after=x)
        return self._affine(x, semantics, upsamples)

    def modulation_of(self, semantics: Semantics, after: tf.Tensor | None = None) -> Modulation:
        """What a call takes in place of the semantics.

        Args:
            semantics: at the size of the features.
            after: what is to be made before; or None.
        """
        prefers = prefers_lookup(semantics, self.kernel_size, self.modulation)
        waiting = tf.control_dependencies([] if after is None else [after])
        if prefers is False:
            dense = tf.cast(semantics.dense, self.hidden_kernel.dtype)
            with waiting:
                hidden = tf.nn.conv2d(dense, self.hidden_kernel, 1, "SAME")
            hidden = tf.nn.relu(tf.nn.bias_add(hidden, self.hidden_bias))
            maps = tf.nn.bias_add(self._convolve(hidden), self.bias)
            scale, shift = tf.split(maps, 2, axis=-1)
            return Modulation(scale, shift, None)
        neighbourhoods = semantics.neighbourhoods(self.kernel_size)
        with waiting:
            hidden = self._hidden(neighbourhoods)

        def look_up():
            scale, shift = self._tables(hidden, neighbourhoods)
            return Modulation(scale, shift, neighbourhoods.ids)

        def half_look_up():
            # A row for each pixel.
            ids = neighbourhoods.first_ids
            rows = tf.reshape(self._convolve(tf.gather(hidden, ids)), [-1, self.bias.shape[0]])
            scale, shift = self._with_biases(*tf.split(rows, 2, axis=-1))
            return Modulation(scale, shift, tf.reshape(tf.range(tf.size(ids)), tf.shape(ids)))

        if prefers is True:
            return look_up()
        prefers |= tf.size(neighbourhoods.ids) <= _FEW_PIXELS
        return tf.cond(prefers, look_up, half_look_up)

    def _affine(self, x, modulation, upsamples):
        if self.jit_compile and modulation.ids is not None:
            scale, shift, ids = modulation
            return _compiled_affine(x, scale, shift, self.bias, ids, self.slope, upsamples)
        scale, shift, _ = modulation.at_pixels()
        return activate((upsample(x) if upsamples else x) * scale + shift, self.slope)

    def _hidden(self, neighbourhoods):
        kernel = tf.convert_to_tensor(self.hidden_kernel)
        return hidden_table(kernel, self.hidden_bias, neighbourhoods)

    def _tables(self, hidden, neighbourhoods):
        """Scale and shift of each distinct neighbourhood, `[n2, C]` each.

        Compiled by XLA, the loop that looks them up adds biases, and tables have rows to spare.
        """
        # Each row is one of scale and one of shift: adding them up apart saves splitting sums.
        products = tf.reshape(tf.matmul(hidden, self.kernel), [-1, self.bias.shape[0] // 2])
        count = neighbourhoods.second_count
        if self.jit_compile:
            count = _rounded(count)
        scale, shift = (
            sum_rows(products, rows, neighbourhoods.second_segments, count)
            for rows in neighbourhoods.second_halves
        )
        return self._with_biases(scale, shift)

    def _with_biases(self, scale, shift):
        if self.jit_compile:
            return scale, shift
        scale_bias, shift_bias = tf.split(self.bias, 2)
        return scale + scale_bias, shift + shift_bias

    def _convolve(self, hidden):
        """Scale and shift of every pixel, without biases."""
        size = self.kernel_size
        kernel = tf.reshape(self.kernel, [-1, size, size, self.bias.shape[0]])
        return tf.nn.conv2d(hidden, tf.transpose(kernel, [1, 2, 0, 3]), 1, "SAME")


def activate(x: tf.Tensor, slope: float) -> tf.Tensor:
    """Leaky ReLU, or `x` for a slope of 1."""
    return x if slope == 1.0 else tf.nn.leaky_relu(x, slope)


@tf.function(jit_compile=True, autograph=False)
def _compiled_affine(x, scale, shift, bias, ids, slope, upsamples):
    dtype = x.dtype
    if upsamples:
        # As a broadcast, which costs nothing in a loop.
        batch, height, width, channels = tf.unstack(tf.shape(x))
        x = tf.broadcast_to(x[:, :, None, :, None], [batch, height, 2, width, 2, channels])
        x = tf.reshape(x, [batch, 2 * height, 2 * width, channels])
    # In float32 within the loop: rounding in between would take longer.
    x, scale, shift, bias = (tf.cast(t, tf.float32) for t in (x, scale, shift, bias))
    scale_bias, shift_bias = tf.split(bias, 2)
    x = x * (tf.gather(scale, ids) + scale_bias) + (tf.gather(shift, ids) + shift_bias)
    return tf.cast(activate(x, slope), dtype)


class FusedConv2D(tf.Module):
    """A convolution, spectrally normalised or not, with its final kernel.

    Args:
        conv: a built convolution.
        dtype: what weights are held in, and computed in.
        winograd: bool, whether it is computed by Winograd's filtering, if it is 3x3 and float32.
    """

    def __init__(self, conv: keras.layers.Layer, dtype: tf.DType, winograd: bool = False):
        super().__init__(name=conv.name)
        spectral = hasattr(conv, "normalized_kernel")
        kernel = conv.normalized_kernel().numpy() if spectral else _array(conv.kernel)
        self.winograd = winograd and dtype == tf.float32 and kernel.shape[:2] == (3, 3)
        if self.winograd:
            kernel = filtering.transform_kernel(kernel)
        self.kernel = _constant(kernel, dtype)
        self.bias = _constant(_array(conv.bias), dtype) if conv.use_bias else None

    def __call__(self, x: tf.Tensor, small: bool = False) -> tf.Tensor:
        """`[B, H, W, C]` to `[B, H, W, filters]`.

        Args:
            x: what is convolved.
            small: bool, whether it has few pixels beside the weights of the kernel.
        """
        if self.winograd:
            kernel = tf.convert_to_tensor(self.kernel)
            bias = tf.zeros(kernel.shape[2]) if self.bias is None else self.bias
            return filtering.convolve(x, kernel, tf.convert_to_tensor(bias))
        # A convolution brings its kernel into an order of its own first, at every call. On small
        # maps that is a good part of its time; a product of matrices takes the kernel as it is.
        # (In bfloat16 the convolution is the faster of the two all the same.)
        if small and x.dtype == tf.float32 and self.kernel.shape[0] > 1:
            x = _product(x, tf.convert_to_tensor(self.kernel))
        else:
            x = tf.nn.conv2d(x, self.kernel, 1, "SAME")
        return x if self.bias is None else tf.nn.bias_add(x, self.bias)


def _product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A convolution of stride 1 as a product of matrices."""
    size, _, channels, filters = kernel.shape
    height, width, margin = tf.shape(x)[1], tf.shape(x)[2], size // 2
    padded = tf.pad(x, [[0, 0], [margin, margin], [margin, margin], [0, 0]])
    taps = [padded[:, i : i + height, j : j + width] for i in range(size) for j in range(size)]
    rows = tf.reshape(tf.concat(taps, -1), [-1, size * size * channels])
    result = tf.matmul(rows, tf.reshape(kernel, [-1, filters]))
    return tf.reshape(result, tf.concat([tf.shape(x)[:3], [filters]], 0))


class FusedDense(tf.Module):
    """A dense layer.

    Args:
        dense: a built dense layer.
        dtype: what weights are held in, and computed in.
    """

    def __init__(self, dense: keras.layers.Layer, dtype: tf.DType):
        super().__init__(name=dense.name)
        self.kernel = _constant(_array(dense.kernel), dtype)
        self.bias = _constant(_array(dense.bias), dtype)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """`[B, C]` to `[B, filters]`."""
        return tf.nn.bias_add(tf.matmul(x, self.kernel), self.bias)


class FusedBlock(tf.Module):
    """A SPADE residual block.

    Args:
        block: a built `SPADEResnetBlock` with SPADE layers.
        dtype: what weights are held in, and computed in.
        jit_compile: bool, as of `FusedSPADE`.
        small: bool, whether its maps have few pixels; see `FusedConv2D`.
        winograd: bool, as of `FusedConv2D`.
    """

    def __init__(
        self,
        block: keras.layers.Layer,
        dtype: tf.DType,
        jit_compile: bool = False,
        small: bool = False,
        winograd: bool = False,
    ):
        super().__init__(name=block.name)
        self.jit_compile = jit_compile
        self.small = small
        self.spade_0 = self.make_spade(block.spade_0, dtype, 0.2)
        self.spade_1 = self.make_spade(block.spade_1, dtype, 0.2)
        self.conv_0 = FusedConv2D(block.conv_0, dtype, winograd)
        self.conv_1 = FusedConv2D(block.conv_1, dtype, winograd)
        self.spade_s = self.conv_s = None
        if block.learned_shortcut:
            self.spade_s = self.make_spade(block.spade_s, dtype, 1.0)
            self.conv_s = FusedConv2D(block.conv_s, dtype)

    def make_spade(self, spade: keras.layers.Layer, dtype: tf.DType, slope: float) -> Any:
        """What stands for a SPADE layer of the block."""
        return FusedSPADE(spade, dtype, slope, self.jit_compile)

    def __call__(
        self,
        x: tf.Tensor,
        semantics: Semantics | Sequence[Modulation],
        upsamples: bool = False,
    ) -> tf.Tensor:
        """`[B, H, W, C]` to `[B, H, W, filters]`, of twice the size if it upsamples.

        Args:
            x: features.
            semantics: at the size of the result, or the `modulations` of it.
            upsamples: bool, whether `x` is to be made twice as high and wide first.
        """
        by_layer: Sequence[Any] = (
            (semantics,) * 3 if isinstance(semantics, Semantics) else semantics
        )
        shortcut = upsample(x) if upsamples else x
        if not self.jit_compile:
            x, upsamples = shortcut, False
        if self.conv_s is not None and self.spade_s is not None:
            shortcut = self.conv_s(self.spade_s(x, by_layer[2], upsamples))
            # At once, modulations of both would be held, a hundred megabytes more, and threads
            # would be in one another's way.
            with tf.control_dependencies([shortcut]):
                x = tf.identity(x)
        x = self.conv_0(self.spade_0(x, by_layer[0], upsamples), self.small)
        x = self.conv_1(self.spade_1(x, by_layer[1]), self.small)
        return shortcut + x

    def modulations(self, semantics: Semantics) -> list[Modulation]:
        """What a call takes in place of the semantics, to be made once for many features."""
        layers = [self.spade_0, self.spade_1, self.spade_s]
        found = [layer.modulation_of(semantics) for layer in layers if layer is not None]
        # XLA's loop looks up as fast as it reads; else every look-up would be made many times.
        return found if self.jit_compile else [each.at_pixels() for each in found]


def _rounded(count: tf.Tensor) -> tf.Tensor:
    # The next power of two, at least 256: XLA compiles once per size.
    exponent = tf.math.ceil(tf.math.log(tf.cast(count, tf.float64)) / math.log(2.0))
    return tf.cast(2.0 ** tf.maximum(exponent, 8.0), tf.int32)


def _array(variable: Any) -> np.ndarray:
    return np.asarray(variable, "float32")


def _constant(value: np.ndarray, dtype: tf.DType) -> tf.Variable:
    return tf.Variable(tf.cast(value, dtype), trainable=False)


class NotFusibleError(ValueError):
    """A generator whose conditioning or normalisation has no fused form."""


def check_fusible(spade: Any) -> None:
    """Raises a NotFusibleError unless a SPADE layer has a normalisation that can be folded away."""
    if not isinstance(spade.normalization, BatchNorm):
        raise NotFusibleError(
            "only batch normalisation can be folded into SPADE: received norm="
            f"{spade.norm!r}; run the generator as it is"
        )


class FusedGenerator(tf.Module):
    """A SPADE generator for inference alone: the same pictures, up to rounding, in less time.

    Running statistics are folded into the convolutions of SPADE, singular values into the kernels
    of the blocks, and weights are held in the dtype that is computed in.

    Args:
        generator: a `SPADEGenerator` with conditioning "spade", norm "batch" or "local_batch", and
            no `concat`. Its weights are copied: later changes of them do not show.
        dtype: "float32" or "bfloat16".
        jit_compile: bool, whether XLA compiles the element-wise parts, which is faster from the
            second call with a label map of some size and diversity (its number of distinct
            neighbourhoods, rounded to a power of two). Default False: a SavedModel then runs
            where XLA is not.
        winograd: bool, whether float32 convolutions of maps of 16x16 to 64x64 pixels are computed
            by Winograd's filtering, with 4/9 of the multiplications and weights 16/9 as large.
            Faster on processors where TensorFlow multiplies matrices by oneDNN; it needs XLA.
            Default False.

    Call arguments:
        inputs: as of the generator.
        z: `[B, z_dim]`, drawn from a standard normal when None; ignored without a `z_dim`. With
            one label map and several styles, what depends on labels alone is computed once.

    Returns:
        float32 `[B, H, W, 3]` in [-1, 1].

    Raises:
        NotFusibleError: if the generator cannot be fused.
    """

    def __init__(
        self,
        generator: Any,
        dtype: str = "float32",
        jit_compile: bool = False,
        winograd: bool = False,
    ):
        super().__init__(name=generator.name)
        if dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype must be float32 or bfloat16: received {dtype!r}")
        if generator.conditioning != "spade" or generator.concat is not None:
            raise NotFusibleError(
                "only generators with conditioning 'spade' and no concat can be fused: received "
                f"conditioning={generator.conditioning!r}, concat={generator.concat!r}"
            )
        check_fusible(generator.blocks[0].spade_0)
        self.compute_dtype = dtype
        self.jit_compile = jit_compile
        self.num_labels = generator.num_labels
        self.image_size = generator.image_size
        self.use_instance_edges = generator.use_instance_edges
        self.z_dim = generator.z_dim
        self.scale = generator.scale
        self.starts_from_z = generator.starts_from_z
        self.widths = list(generator.widths)
        self.upsamples = [generator.upsamples_before(i) for i in range(len(self.widths))]
        compute = tf.as_dtype(dtype)
        start = FusedDense if self.starts_from_z else FusedConv2D
        self.fc = start(generator.fc, compute)
        self.blocks, scale = [], self.scale
        for block, upsamples in zip(generator.blocks, self.upsamples, strict=True):
            scale //= 2 if upsamples else 1
            size = [length // scale for length in self.image_size]
            pixels = size[0] * size[1]
            # Upsampled, they are of even height and width, as tiles want them.
            in_tiles = winograd and scale < self.scale and pixels in range(*_WINOGRAD)
            self.blocks.append(self.make_block(block, compute, pixels <= _SMALL_MAP, in_tiles))
        # As in the generator: half precision would quantise the picture.
        self.conv_img = FusedConv2D(generator.conv_img, tf.float32)

    def make_block(
        self, block: keras.layers.Layer, dtype: tf.DType, small: bool, winograd: bool
    ) -> FusedBlock:
        """What stands for a block of the generator."""
        return FusedBlock(block, dtype, self.jit_compile, small, winograd)

    def __call__(self, inputs: Any, z: tf.Tensor | None = None, training: bool = False):
        if training:
            raise ValueError("a fused generator is for inference: train the one it was made of")
        semantics = self.semantics(inputs)
        scale, x, label = self.scale, self.start(semantics, z), semantics.label
        many = label is not None and label.shape[0] == 1 and x.shape[0] != 1
        later: list[tuple[FusedBlock, list[Modulation], bool]] = []
        for block, upsamples in zip(self.blocks, self.upsamples, strict=True):
            scale //= 2 if upsamples else 1
            here = semantics.downsample(scale)
            height, width = (size // scale for size in self.image_size)
            if many and height * width > _TOGETHER:
                later.append((block, block.modulations(here), upsamples))
            else:
                x = block(x, here, upsamples=upsamples)
        if not later:
            return self.finish(x)

        def one_style(x):
            x = x[None]
            for block, modulations, upsamples in later:
                x = block(x, modulations, upsamples=upsamples)
            return self.finish(x)[0]

        picture = tf.TensorSpec([None, None, 3], tf.float32)
        # One after the other: at once, they would be in the caches' way again.
        return tf.map_fn(one_style, x, fn_output_signature=picture, parallel_iterations=1)

    def semantics(self, inputs: Any) -> Semantics:
        """What all blocks condition on."""
        semantics = Semantics.from_inputs(
            inputs,
            num_labels=self.num_labels,
            use_instance_edges=self.use_instance_edges,
            dtype=self.compute_dtype,
        )
        size = self.image_size if self.starts_from_z else None
        check_label_size(semantics, self.scale, size)
        return semantics

    def start(self, semantics: Semantics, z: tf.Tensor | None) -> tf.Tensor:
        """The first feature map."""
        if not self.starts_from_z:
            return self.fc(semantics.downsample(self.scale).dense)
        z = draw_style(semantics, self.z_dim) if z is None else z
        height, width = (size // self.scale for size in self.image_size)
        x = self.fc(tf.cast(z, self.compute_dtype))
        return tf.reshape(x, [-1, height, width, self.widths[0]])

    def finish(self, x: tf.Tensor) -> tf.Tensor:
        """From the last feature map to the picture."""
        return tf.tanh(self.conv_img(tf.nn.leaky_relu(tf.cast(x, tf.float32), 0.2)))
