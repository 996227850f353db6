"""Which official tensor is which variable, and how one is laid out as the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np

from spade_tf.convert.errors import ConversionError
from spade_tf.layers.normalization import BatchNorm
from spade_tf.layers.spectral_transpose import SpectralConv2DTranspose
from spade_tf.layers.unconditional_norm import UnconditionalNorm
from spade_tf.networks.discriminator import MultiscaleDiscriminator
from spade_tf.networks.encoder import ConvEncoder
from spade_tf.networks.generator import SPADEGenerator
from spade_tf.networks.pix2pixhd import Pix2PixHDGenerator

__all__ = ["OfficialTensor", "official_tensors"]


class OfficialTensor(NamedTuple):
    """One variable and its official counterpart, its `name` and `shape`.

    The official tensor is reshaped to `factored`, its axes are transposed to `axes`, and the result
    is reshaped to the variable's shape. `labels` input channels of it, if any, are then rolled.
    """

    name: str
    variable: keras.Variable
    factored: tuple[int, ...]
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    labels: int = 0
    # PyTorch before 0.4.1 did not store it, and nothing is computed from it.
    is_optional: bool = False

    def assign(self, array: np.ndarray) -> None:
        """Sets the variable to an official tensor."""
        value = array.reshape(self.factored).transpose(self.axes).reshape(self.variable.shape)
        self.variable.assign(self._rolled(value, -1))

    def read(self) -> np.ndarray:
        """The official tensor that the variable makes."""
        value = self._rolled(keras.ops.convert_to_numpy(self.variable), 1)
        value = value.reshape([self.factored[axis] for axis in self.axes])
        return value.transpose(np.argsort(self.axes)).reshape(self.shape)

    def _rolled(self, kernel: np.ndarray, shift: int) -> np.ndarray:
        if not self.labels:
            return kernel
        kernel = kernel.copy()
        kernel[:, :, : self.labels] = np.roll(kernel[:, :, : self.labels], shift, axis=2)
        return kernel


def _plain(name: str, variable: keras.Variable, is_optional: bool = False) -> OfficialTensor:
    shape = tuple(variable.shape)
    return OfficialTensor(
        name, variable, shape, tuple(range(len(shape))), shape, is_optional=is_optional
    )


def _kernel(name: str, variable: keras.Variable, labels: int = 0) -> OfficialTensor:
    height, width, inputs, filters = variable.shape
    shape = (filters, inputs, height, width)
    return OfficialTensor(name, variable, shape, (2, 3, 1, 0), shape, labels)


def _conv(name: str, conv: keras.layers.Layer, labels: int = 0) -> Iterator[OfficialTensor]:
    is_spectral = hasattr(conv, "normalized_kernel")
    weight = f"{name}.weight_orig" if is_spectral else f"{name}.weight"
    if isinstance(conv, keras.layers.Conv2DTranspose | SpectralConv2DTranspose):
        kernel = _transposed_kernel(weight, conv)
    else:
        kernel = _kernel(weight, conv.kernel, labels)
    if not is_spectral:
        yield kernel
    if conv.use_bias:
        yield _plain(f"{name}.bias", conv.bias)
    if is_spectral:
        yield kernel
        yield _plain(f"{name}.weight_u", conv.u)
        height, width, inputs, _ = conv.kernel.shape
        factored = (inputs, height, width)
        yield OfficialTensor(
            f"{name}.weight_v", conv.v, factored, (1, 2, 0), (math.prod(factored),)
        )


def _transposed_kernel(name: str, conv: keras.layers.Layer) -> OfficialTensor:
    # PyTorch has (inputs, filters) here. Ours is as Keras has it, or as a convolution's.
    is_spectral = hasattr(conv, "normalized_kernel")
    height, width, *channels = conv.kernel.shape
    inputs, filters = channels if is_spectral else reversed(channels)
    axes = (2, 3, 0, 1) if is_spectral else (2, 3, 1, 0)
    shape = (inputs, filters, height, width)
    return OfficialTensor(name, conv.kernel, shape, axes, shape)


def _normed(
    name: str,
    conv: keras.layers.Layer,
    norm: UnconditionalNorm,
    labels: int = 0,
) -> Iterator[OfficialTensor]:
    """A convolution and what follows it: two places within the name, or one if nothing does."""
    has_norm = norm.norm != "none"
    yield from _conv(f"{name}.0" if has_norm else name, conv, labels)
    if norm.affine:
        yield _plain(f"{name}.1.weight", norm.gamma)
        yield _plain(f"{name}.1.bias", norm.beta)
    if isinstance(norm.normalization, BatchNorm):
        yield from _statistics(f"{name}.1", norm.normalization)


def _statistics(name: str, norm: BatchNorm) -> Iterator[OfficialTensor]:
    yield _plain(f"{name}.running_mean", norm.moving_mean)
    yield _plain(f"{name}.running_var", norm.moving_variance)
    yield _plain(f"{name}.num_batches_tracked", norm.num_batches, is_optional=True)


def _spade(name: str, spade: keras.layers.Layer, labels: int) -> Iterator[OfficialTensor]:
    norm = spade.normalization
    if isinstance(norm, BatchNorm):
        yield from _statistics(f"{name}.param_free_norm", norm)
    yield from _conv(f"{name}.mlp_shared.0", spade.modulation.shared, labels)
    yield from _conv(f"{name}.mlp_gamma", spade.modulation.gamma)
    yield from _conv(f"{name}.mlp_beta", spade.modulation.beta)


def _generator_tensors(generator: SPADEGenerator, labels: int) -> Iterator[OfficialTensor]:
    fc = generator.fc
    if generator.z_dim is None:
        yield from _conv("fc", fc, labels)
    else:
        filters = generator.widths[0]
        height, width = (size // generator.scale for size in generator.image_size)
        factored = (filters, height, width)
        size = math.prod(factored)
        shape = (size, generator.z_dim)
        yield OfficialTensor(
            "fc.weight", fc.kernel, (*factored, generator.z_dim), (3, 1, 2, 0), shape
        )
        yield OfficialTensor("fc.bias", fc.bias, factored, (1, 2, 0), (size,))
    for block in generator.blocks:
        suffixes = ["0", "1", "s"] if block.learned_shortcut else ["0", "1"]
        for suffix in suffixes:
            yield from _conv(f"{block.name}.conv_{suffix}", getattr(block, f"conv_{suffix}"))
        for suffix in suffixes:
            spade = getattr(block, f"spade_{suffix}")
            yield from _spade(f"{block.name}.norm_{suffix}", spade, labels)
    yield from _conv("conv_img", generator.conv_img)


def _pix2pixhd_tensors(generator: Pix2PixHDGenerator, labels: int) -> Iterator[OfficialTensor]:
    # Places in a sequence: padding, then convolutions (each with its norm) and activations by
    # turns, among them the blocks, which are in one place each.
    yield from _normed("model.1", generator.conv_in, generator.norm_in, labels)
    place = 3
    for conv, norm in zip(generator.downs, generator.down_norms, strict=True):
        yield from _normed(f"model.{place}", conv, norm)
        place += 2
    layers = list(zip(generator.block_convs, generator.block_norms, strict=True))
    for first, second in zip(layers[::2], layers[1::2], strict=True):
        yield from _normed(f"model.{place}.conv_block.1", *first)
        yield from _normed(f"model.{place}.conv_block.4", *second)
        place += 1
    for conv, norm in zip(generator.ups, generator.up_norms, strict=True):
        yield from _normed(f"model.{place}", conv, norm)
        place += 2
    yield from _conv(f"model.{place + 1}", generator.conv_img)


def _discriminator_tensors(
    discriminator: MultiscaleDiscriminator, labels: int
) -> Iterator[OfficialTensor]:
    for scale in discriminator.discriminators:
        yield from _conv(f"{scale.name}.model0.0", scale.convs[0], labels)
        for index, (conv, norm) in enumerate(zip(scale.convs[1:], scale.norms, strict=True), 1):
            yield from _normed(f"{scale.name}.model{index}.0", conv, norm)
        yield from _conv(f"{scale.name}.model{len(scale.convs)}.0", scale.logits)


def _encoder_tensors(encoder: ConvEncoder) -> Iterator[OfficialTensor]:
    for index, conv in enumerate(encoder.convs, 1):
        yield from _conv(f"layer{index}.0", conv)
    filters = encoder.convs[-1].filters
    height, width = (size // 2**encoder.num_layers for size in encoder.image_size)
    factored = (filters, height, width)
    for name, head in (("fc_mu", encoder.mu), ("fc_var", encoder.logvar)):
        shape = (encoder.z_dim, math.prod(factored))
        yield OfficialTensor(
            f"{name}.weight", head.kernel, (encoder.z_dim, *factored), (2, 3, 1, 0), shape
        )
        yield _plain(f"{name}.bias", head.bias)


def official_tensors(network: keras.Model, unknown_first: bool) -> list[OfficialTensor]:
    """All that the official state dict of a network holds, in its order.

    Args:
        network: a `SPADEGenerator`, a `Pix2PixHDGenerator`, a `MultiscaleDiscriminator` or a
            `ConvEncoder`.
        unknown_first: whether the official labels have unknown at 0 and ours at the end.

    Raises:
        ConversionError: if the network has variables that the official one has not.
    """
    labels = network.num_labels if unknown_first and not isinstance(network, ConvEncoder) else 0
    if isinstance(network, SPADEGenerator):
        tensors = list(_generator_tensors(network, labels))
    elif isinstance(network, Pix2PixHDGenerator):
        tensors = list(_pix2pixhd_tensors(network, labels))
    elif isinstance(network, MultiscaleDiscriminator):
        tensors = list(_discriminator_tensors(network, labels))
    else:
        tensors = list(_encoder_tensors(network))
    if len(tensors) != len(network.variables):
        raise ConversionError(
            f"{type(network).__name__} has {len(network.variables)} variables where the official "
            f"one has {len(tensors)}; it cannot be converted"
        )
    return tensors
