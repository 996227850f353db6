"""Channels of equal ranges, which 8 bits hold better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from spade_tf.layers.folding import FoldsStatistics
from spade_tf.layers.nested import nested_layers
from spade_tf.layers.spade_resnet_block import SPADEResnetBlock


def equalize(
    edge: keras.Model, examples: Sequence[Mapping[str, np.ndarray]], *, one_hot: bool = True
) -> None:
    """Evens out the ranges of channels, and changes no picture but for rounding.

    All channels of an activation share one scale in int8, so that a channel of a large range
    leaves few of the 256 steps to the others. What a conditional normalisation gives goes through
    leaky ReLU, which commutes with factors, into a convolution. So channel `c` may be divided by

        s[c] = sqrt(r[c] / w[c])

    if the convolution's weights for it are multiplied by `s[c]`; `r` is the largest absolute value
    of the channel in some pictures, `w` that of its weights. Both are `sqrt(r[c] w[c])` then.

    Args:
        edge: what `edge_form` made. Its weights are changed.
        examples: what edge models are called with: see `edge_inputs`.
        one_hot: bool, whether it sees one label per pixel. For continuous maps, CLADE and
            conditional batch normalisation stay as they are. Default True.

    Reference: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
        Correction", section 4.1, https://arxiv.org/abs/1906.04721. Differs from it: the ranges of
        activations are seen, not estimated, and those of a normalisation's output are evened out.
    """
    pairs = [
        pair
        for block in nested_layers(edge)
        if isinstance(block, SPADEResnetBlock)
        for pair in block.normalized_convolutions()
        if isinstance(pair[0], FoldsStatistics)
    ]
    ranges = _ranges([normalization for normalization, _ in pairs], edge, examples)
    for (normalization, convolution), largest in zip(pairs, ranges, strict=True):
        # A label map may be concatenated, behind these channels.
        kernel = np.asarray(convolution.kernel, "float64")
        weights = np.abs(kernel[:, :, : len(largest)]).max((0, 1, 3))
        used = (largest > 0) & (weights > 0)
        factors = np.sqrt(np.where(used, weights, 1.0) / np.where(used, largest, 1.0))
        if normalization.scale(factors, edge.num_labels if one_hot else None):
            kernel[:, :, : len(largest)] /= factors[:, None]
            convolution.kernel.assign(kernel)


def _ranges(layers, edge, examples):
    """The largest absolute value in each channel of what each layer gives."""
    ranges = [np.zeros(()) for _ in layers]

    def seen_by(index, call):
        def seen(*args, **kwargs):
            y = call(*args, **kwargs)
            ranges[index] = np.maximum(ranges[index], np.abs(y.numpy()).max((0, 1, 2)))
            return y

        return seen

    try:
        for index, layer in enumerate(layers):
            # Keras looks `call` up in the layer at each call; its own attributes are not touched.
            layer.__dict__["call"] = seen_by(index, layer.call)
        for example in examples:
            edge(inputs=example["semantics"], z=example.get("z"), training=False)
    finally:
        for layer in layers:
            layer.__dict__.pop("call", None)
    return ranges
