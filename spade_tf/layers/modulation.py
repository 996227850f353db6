"""Where gamma and beta come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from spade_tf.layers.class_styles import check_class_styles, styled_kernel
from spade_tf.layers.conditional_norm import as_semantics
from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.neighbourhoods import Neighbourhoods
from spade_tf.layers.padding import check_padding, conv_padding, padded_for
from spade_tf.layers.semantic_inputs import map_shape
from spade_tf.layers.semantics import Semantics
from spade_tf.layers.symbolic import TracesSymbolicCalls

FORMS = ("dense", "deduplicated", "auto")
# With n1 distinct windows per pixel, looking up costs about as much per pixel as n1 + 0.3 times
# the convolutions to gamma and beta, as measured.
_LARGEST_SHARE = 0.7


@keras.saving.register_keras_serializable("spade_tf")
class SpatialModulation(TracesSymbolicCalls, keras.layers.Layer):
    """Two-layer convolutional network from semantics to gamma and beta per pixel.

    `hidden = relu(conv(semantics))`, `gamma = conv(hidden)`, `beta = conv(hidden)`.

    There are two forms of this, of the same weights and the same result up to rounding. "dense"
    convolves maps. "deduplicated" computes gamma and beta once for each distinct neighbourhood of
    labels, and looks them up: most pixels see what others see too. It needs label ids, and shapes
    that depend on what is in them, which XLA does not have. Where "auto" finds too many distinct
    neighbourhoods, the hidden features alone are looked up, and convolved.

    Args:
        filters: int >= 1, channels of gamma and of beta.
        semantic_channels: int >= 1, channels of the semantics' dense map.
        hidden_filters: int >= 1, width of the shared convolution. Default 128.
        kernel_size: odd int, of all three convolutions. Default 3.
        form: "dense", "deduplicated", or "auto": deduplicated where it can be, and where the
            label map at hand has few enough neighbourhoods for it to pay. Default "auto".
        padding: "zeros", "reflect" or "replicate", of the inputs of all three convolutions.
            Default "zeros".
        class_style_dim: int >= 0, length D of the vector of each class that the shared convolution
            sees beside the labels; 0 for none. Default 0.

    Call arguments:
        semantics: a `Semantics` of `semantic_channels`, a mapping with `label` and `instance`, int
            label ids `[B, H, W]`, or a float map `[B, H, W, semantic_channels]`;
            at the resolution wanted. With a `class_style_dim`, it holds `class_styles`.
        after: a tensor that is to be made first, where gamma and beta are looked up; or None. As
            soon as labels are known, tables of all layers can be made, and would fill the memory.

    Returns:
        `(gamma, beta)`, each `[B, H, W, filters]`, in the compute dtype.

    Raises:
        ValueError: if `kernel_size` is even, there is no such form, "deduplicated" is asked for
            where it cannot be, or class styles are missing or too many.

    Reference: Park et al. 2019, figure 2 and appendix A.
    """

    def __init__(
        self,
        filters: int,
        semantic_channels: int,
        hidden_filters: int = 128,
        kernel_size: int = 3,
        form: str = "auto",
        padding: str = "zeros",
        class_style_dim: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_form(form)
        check_padding(padding)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd: received {kernel_size}")
        if class_style_dim < 0:
            raise ValueError(f"class_style_dim must be >= 0: received {class_style_dim}")
        self.filters = filters
        self.semantic_channels = semantic_channels
        self.hidden_filters = hidden_filters
        self.kernel_size = kernel_size
        self.form = form
        self.padding = padding
        self.class_style_dim = class_style_dim
        self.shared = self._conv(hidden_filters, "shared", activation="relu")
        self.gamma = self._conv(filters, "gamma")
        self.beta = self._conv(filters, "beta")

    def _conv(self, filters, name, activation=None):
        return keras.layers.Conv2D(
            filters,
            self.kernel_size,
            padding=conv_padding(self.padding),
            activation=activation,
            kernel_initializer=xavier_normal(),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, *_):
        self.shared.build((None, None, None, self.semantic_channels))
        self.gamma.build((None, None, None, self.hidden_filters))
        self.beta.build((None, None, None, self.hidden_filters))
        self.style_kernel = None
        if self.class_style_dim:
            # Further channels of the shared convolution, which models without them have not.
            size = (self.kernel_size, self.kernel_size)
            self.style_kernel = self.add_weight(
                shape=(*size, self.class_style_dim, self.hidden_filters),
                initializer=xavier_normal(),
                name="style_kernel",
            )

    def call(self, semantics: Semantics | Mapping[str, Any] | Any, after: tf.Tensor | None = None):
        semantics = as_semantics(self, semantics, self.semantic_channels)
        check_class_styles(type(self).__name__, semantics.class_styles, self.class_style_dim)
        prefers = prefers_lookup(semantics, self.kernel_size, self.form, self.padding)
        if prefers is False:
            return self._dense(semantics)
        # Found outside of the branches, so that all layers of this resolution share them.
        neighbourhoods = semantics.neighbourhoods(self.kernel_size, self.padding)
        with tf.control_dependencies([] if after is None else [after]):
            if prefers is True:
                return self._deduplicated(semantics, neighbourhoods)
            return tf.cond(
                prefers,
                lambda: self._deduplicated(semantics, neighbourhoods),
                lambda: self._half_deduplicated(semantics, neighbourhoods),
            )

    def _dense(self, semantics):
        dense = tf.cast(semantics.dense, self.compute_dtype)
        if self.style_kernel is None:
            return self._convolve(self.shared(padded_for(dense, self.kernel_size, self.padding)))
        dense = tf.concat([dense, tf.cast(semantics.style_map, self.compute_dtype)], -1)
        kernel, bias = self._weights(self.shared.kernel, self.shared.bias)
        kernel = tf.concat([kernel, *self._weights(self.style_kernel)], 2)
        dense = padded_for(dense, self.kernel_size, self.padding)
        hidden = tf.nn.conv2d(dense, kernel, 1, conv_padding(self.padding).upper())
        return self._convolve(tf.nn.relu(tf.nn.bias_add(hidden, bias)))

    def _convolve(self, hidden):
        hidden = padded_for(hidden, self.kernel_size, self.padding)
        return self.gamma(hidden), self.beta(hidden)

    def _half_deduplicated(self, semantics, neighbourhoods):
        # The convolution of the label map is looked up all the same: sums of few rows.
        hidden = self._hidden(semantics, neighbourhoods)
        return self._convolve(tf.gather(hidden, neighbourhoods.first_ids))

    def _deduplicated(self, semantics, neighbourhoods):
        hidden = self._hidden(semantics, neighbourhoods)
        return tuple(
            tf.gather(self._table(hidden, conv, neighbourhoods), neighbourhoods.ids)
            for conv in (self.gamma, self.beta)
        )

    def _hidden(self, semantics, neighbourhoods):
        kernel, bias = self._weights(self.shared.kernel, self.shared.bias)
        if self.style_kernel is not None:
            (style_kernel,) = self._weights(self.style_kernel)
            class_styles = tf.cast(semantics.class_styles, self.compute_dtype)
            kernel = styled_kernel(kernel, style_kernel, class_styles, semantics.label)
        return hidden_table(kernel, bias, neighbourhoods)

    def _table(self, hidden, conv, neighbourhoods):
        # The convolution is linear: what a window adds at each tap is computed once per window of
        # the first level, of which there are far fewer than of the second.
        kernel, bias = self._weights(conv.kernel, conv.bias)
        kernel = tf.reshape(kernel, [self.kernel_size**2, self.hidden_filters, self.filters])
        return bias + sum_rows(
            tf.reshape(tf.matmul(hidden, kernel), [-1, self.filters]),
            neighbourhoods.second_rows,
            neighbourhoods.second_segments,
            neighbourhoods.second_count,
        )

    def _weights(self, *weights):
        return (tf.cast(weight, self.compute_dtype) for weight in weights)

    def compute_output_shape(self, semantics_shape, after_shape=None):
        shape = (*map_shape(semantics_shape), self.filters)
        return shape, shape

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "semantic_channels": self.semantic_channels,
            "hidden_filters": self.hidden_filters,
            "kernel_size": self.kernel_size,
            "form": self.form,
            "padding": self.padding,
            "class_style_dim": self.class_style_dim,
        }


def check_form(form: str) -> None:
    """Raises a ValueError unless `form` is one of `FORMS`."""
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}: received {form!r}")


def prefers_lookup(
    semantics: Semantics, kernel_size: int, form: str, padding: str = "zeros"
) -> bool | tf.Tensor:
    """Whether gamma and beta are to be looked up rather than convolved.

    Args:
        semantics: what they are computed from.
        kernel_size: odd int, of the convolutions.
        form: one of `FORMS`.
        padding: of the convolutions.

    Returns:
        A bool, or a bool scalar where it depends on the label map.

    Raises:
        ValueError: if they are to be looked up and cannot be.
    """
    # Convolutions would pad a part of a map where the map goes on.
    if form == "dense" and not semantics.is_crop:
        return False
    obstacle = None
    if semantics.label is None:
        obstacle = "a dense map in place of label ids"
    elif _in_xla():
        obstacle = "XLA, which needs static shapes"
    if form == "deduplicated" and obstacle is not None:
        raise ValueError(f"form 'deduplicated' does not go with {obstacle}: give 'auto' or 'dense'")
    if form == "deduplicated" or obstacle is not None:
        return obstacle is None
    if semantics.is_crop:
        return True
    return semantics.neighbourhoods(kernel_size, padding).share <= _LARGEST_SHARE


def hidden_table(kernel: tf.Tensor, bias: tf.Tensor, neighbourhoods: Neighbourhoods) -> tf.Tensor:
    """Hidden features of each distinct window of the first level, `[n1, hidden_filters]`.

    Args:
        kernel: `[k, k, channels, hidden_filters]`, of the convolution of the label map.
        bias: `[hidden_filters]`.
        neighbourhoods: of that kernel size.
    """
    sums = sum_rows(
        tf.reshape(kernel, [-1, kernel.shape[3]]),
        neighbourhoods.rows,
        neighbourhoods.segments,
        neighbourhoods.count,
    )
    return tf.nn.relu(sums + bias)


def sum_rows(table: tf.Tensor, rows: tf.Tensor, segments: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Sums of rows of a table, `[count, C]`.

    Args:
        table: `[R, C]`.
        rows: int32 `[m]`, which rows.
        segments: int32 `[m]`, ascending, in `[0, count)`: which sum each is part of.
        count: int32 scalar.
    """
    return tf.raw_ops.SparseSegmentSumWithNumSegments(
        data=table, indices=rows, segment_ids=segments, num_segments=count
    )


def _in_xla() -> bool:
    """Whether what is being traced is for XLA: a jit-compiled function, or a TPU's."""
    if tf.executing_eagerly():
        return False
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        # Private: TensorFlow has no public way to ask. test_modulation.py calls "auto" layers in
        # jit-compiled functions, and would notice its end.
        context = graph._get_control_flow_context()
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False
