"""Label maps, and instance maps beside them, as what SPADE layers condition on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import tensorflow as tf

from spade_tf.layers.class_styles import as_class_styles, labels_by_example, style_map
from spade_tf.layers.instance_edges import edges_of, instance_edges
from spade_tf.layers.neighbourhoods import Neighbourhoods
from spade_tf.layers.resizing import crop, nearest
from spade_tf.layers.semantic_inputs import (
    check_ids,
    check_map,
    check_not_symbolic,
    label_of,
    with_canvas,
)

__all__ = ["Semantics", "crop", "instance_edges"]


class Semantics:
    """What the layers of one forward pass condition on, at every resolution.

    Holds either label ids (with instance edges, if there are any) or a continuous map, and
    gives them at the resolution that a layer works at. Each resolution is made once and shared
    by all layers that ask for it.

    Args:
        num_labels: int >= 1, number of label ids, the unknown one included.
        label: int `[B, H, W]`, label ids; or None where `dense` is given.
        edges: bool `[B, H, W]`, instance edges; None for no edge channel.
        dense: float `[B, H, W, C]`, a continuous or one-hot map, instead of `label` and `edges`.
        dtype: what the dense map is made in, usually the compute dtype of the network.
        unlabelled: bool, whether ids outside `[0, num_labels)` mean "no label": their one-hot
            vector is zero, as augmentation wants it where it leaves no picture. Default False:
            such ids are refused in eager mode. A graph cannot look at them: check them before.
        class_styles: float `[B, N, D]`, a vector for each label, which layers with a
            `class_style_dim` see beside it; None for none. The labels are the first N channels.

    Raises:
        ValueError: if neither or both of `label` and `dense` are given, an id is out of range,
            class styles do not fit, or a tensor is a symbolic one of Keras: give that to the
            layer itself.

    Example:
        >>> import numpy as np
        >>> from spade_tf import Semantics
        >>> semantics = Semantics(3, label=np.array([[[0, 1], [2, 2]]]))
        >>> semantics.dense[0, 0].numpy().tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
        >>> semantics.at(1, 1).shape
        (1, 1, 1)
    """

    def __init__(
        self,
        num_labels: int = 0,
        *,
        label: tf.Tensor | None = None,
        edges: tf.Tensor | None = None,
        dense: tf.Tensor | None = None,
        dtype: str | tf.DType = "float32",
        unlabelled: bool = False,
        class_styles: tf.Tensor | None = None,
    ):
        if (label is None) == (dense is None):
            received = f"received label={label!r}, dense={dense!r}"
            raise ValueError(f"Semantics takes either label ids or a dense map: {received}")
        check_not_symbolic(label, edges, dense, class_styles)
        if label is not None and not unlabelled:
            check_ids(label, num_labels)
        self.num_labels = num_labels
        self.label = None if label is None else tf.convert_to_tensor(label)
        self.edges = None if edges is None else tf.convert_to_tensor(edges)
        self.dtype = tf.as_dtype(dtype)
        self._dense: Any = None if dense is None else tf.cast(dense, self.dtype)
        self.class_styles = as_class_styles(self, class_styles)
        # What one graph holds cannot be used in another one, such as a branch of it.
        self._made: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()
        self._made_eagerly: dict[Any, Any] = {}
        self._derived = False
        self._whole: tuple[Semantics, tf.Tensor] | None = None

    @property
    def is_crop(self) -> bool:
        """Whether there is more of the map around this part of it."""
        return self._whole is not None

    @classmethod
    def from_inputs(
        cls,
        inputs: Semantics | Mapping[str, Any] | Any,
        *,
        num_labels: int,
        use_instance_edges: bool,
        dtype: str | tf.DType = "float32",
    ) -> Semantics:
        """Takes whatever a network is called with.

        Args:
            inputs: a `Semantics` (returned as it is); a mapping with `label` int `[B, H, W]`, or
                `condition` float `[B, H, W, C]`, and, where edges are used, `instance` int
                `[B, H, W]` (an absent one counts as one instance all over: no edges); beside
                `label`, maybe `canvas` float `[B, H, W, C]`, which takes the last C of the
                `num_labels` channels (ids are below `num_labels - C` then); the int
                `[B, H, W]` label ids alone; or a float `[B, H, W, C]` map that holds the edges
                already. A mapping may hold `class_styles`, too.
            num_labels: int, number of label ids, the unknown one included.
            use_instance_edges: bool, whether an edge channel follows the labels.
            dtype: of the dense map.

        Returns:
            A `Semantics` of `num_labels + use_instance_edges` channels.

        Raises:
            ValueError: if the inputs are none of these, or of another rank or channel count.
        """
        channels = num_labels + int(use_instance_edges)
        check_not_symbolic(*(inputs.values() if isinstance(inputs, Mapping) else [inputs]))
        if not isinstance(inputs, Semantics | Mapping):
            inputs = tf.convert_to_tensor(inputs)
            if inputs.dtype.is_integer and inputs.shape.rank == 3:
                inputs = {"label": inputs}
        if isinstance(inputs, Semantics):
            semantics = inputs
        elif isinstance(inputs, Mapping) and "condition" in inputs:
            dense = tf.cast(inputs["condition"], dtype)
            if use_instance_edges:
                edges = tf.cast(edges_of(inputs, dense[..., 0]), dense.dtype)
                dense = tf.concat([dense, edges[..., None]], -1)
            semantics = cls(num_labels, dense=dense, dtype=dtype)
        elif isinstance(inputs, Mapping):
            label = label_of(inputs)
            edges = edges_of(inputs, label) if use_instance_edges else None
            # Files hold smaller types, in which numbers of labels may not fit.
            label = tf.cast(label, tf.int32)
            if "canvas" in inputs:
                dense = with_canvas(label, inputs["canvas"], edges, num_labels, dtype)
                semantics = cls(num_labels, dense=dense, dtype=dtype)
            else:
                semantics = cls(num_labels, label=label, edges=edges, dtype=dtype)
        else:
            check_map(inputs)
            semantics = cls(num_labels, dense=inputs, dtype=dtype)
        if semantics.channels != channels:
            wanted = f"({num_labels} labels, {int(use_instance_edges)} edge channel)"
            received = f"received {semantics.channels}"
            raise ValueError(f"semantics must have {channels} channels {wanted}: {received}")
        styles = inputs.get("class_styles") if isinstance(inputs, Mapping) else None
        return semantics if styles is None else semantics.with_class_styles(styles)

    @property
    def channels(self) -> int:
        """Channels of the dense map."""
        if self.label is None:
            return int(self._dense.shape[-1])
        return self.num_labels + (self.edges is not None)

    @property
    def shape(self) -> tuple[int | None, int | None, int | None]:
        """Static `(B, H, W)`."""
        source = self._dense if self.label is None else self.label
        return tuple(source.shape.as_list()[:3])

    @property
    def dense(self) -> tf.Tensor:
        """The dense map `[B, H, W, C]`: one-hot labels, then the edge channel."""
        return self._dense if self.label is None else self._once("dense", self._one_hot)

    def _one_hot(self) -> tf.Tensor:
        dense = tf.one_hot(self.label, self.num_labels, dtype=self.dtype)
        if self.edges is not None:
            dense = tf.concat([dense, tf.cast(self.edges, self.dtype)[..., None]], -1)
        return dense

    @property
    def style_map(self) -> tf.Tensor:
        """The class style of each pixel, `[B, H, W, D]`; zero where there is no label."""
        return self._once("styles", lambda: style_map(self.dense, self.class_styles))

    def neighbourhoods(self, kernel_size: int, padding: str = "zeros") -> Neighbourhoods:
        """The distinct neighbourhoods that two convolutions over this map see.

        With class styles, no two examples share any: the labels are those of `labels_by_example`.

        Args:
            kernel_size: odd int, of both convolutions.
            padding: of their inputs: "zeros", "reflect" or "replicate". Default "zeros".

        Returns:
            `Neighbourhoods`, the same object for the same arguments.

        Raises:
            ValueError: if there are no label ids to tell apart.
        """
        if self._whole is not None:
            return self._neighbourhoods_within(kernel_size, padding)
        label = self.label
        if label is None:
            raise ValueError("neighbourhoods are of label ids: received a dense map")

        def find() -> Neighbourhoods:
            symbols, count = label, self.num_labels
            if self.class_styles is not None:
                symbols, count = labels_by_example(label, self.num_labels)
            return Neighbourhoods.of(
                symbols, self.edges, num_labels=count, kernel_size=kernel_size, padding=padding
            )

        return self._once(("neighbourhoods", kernel_size, padding), find)

    def _once(self, key: Any, make: Any) -> Any:
        made = self._made_eagerly
        if not tf.executing_eagerly():
            made = self._made.setdefault(tf.compat.v1.get_default_graph(), {})
        if key not in made:
            made[key] = make()
        return made[key]

    def at(self, height: int | tf.Tensor, width: int | tf.Tensor) -> Semantics:
        """The same semantics, nearest-resized.

        Output row `i` takes source row `floor(i * H / height)`, as the official release does;
        TensorFlow's own nearest resize takes another row when it makes a map smaller.

        Args:
            height: int or scalar tensor, rows wanted.
            width: int or scalar tensor, columns wanted.

        Returns:
            A `Semantics` at that resolution; the same object for the same integers.
        """

        def resize() -> Semantics:
            return self._map(lambda source: nearest(source, height, width))

        known = isinstance(height, int) and isinstance(width, int)
        return self._once((height, width), resize) if known else resize()

    def downsample(self, factor: int) -> Semantics:
        """Every `factor`-th row and column: `at(H / factor, W / factor)` for sizes known or not.

        Args:
            factor: int >= 1, which must divide H and W.

        Returns:
            A `Semantics`; the same object for the same factor.
        """
        if factor == 1:
            return self
        return self._once(
            ("factor", factor), lambda: self._map(lambda source: source[:, ::factor, ::factor])
        )

    def like(self, x: tf.Tensor) -> Semantics:
        """These semantics at the resolution of `x` `[B, h, w, ...]`."""
        _, height, width = self.shape
        known = None not in (height, width, x.shape[1], x.shape[2])
        if known and (height, width) == (x.shape[1], x.shape[2]):
            return self
        if known:
            return self.at(x.shape[1], x.shape[2])
        if self._derived:
            # A network that works on unknown sizes has chosen the resolution itself.
            return self
        return self.at(tf.shape(x)[1], tf.shape(x)[2])

    def crop(self, box: tf.Tensor) -> Semantics:
        """A rectangle of these labels, whose neighbourhoods reach beyond it.

        Args:
            box: int32 `[2, 2]`, `(top, left)` and `(bottom, right)`, the latter excluded.

        Returns:
            A `Semantics`. Its dense map knows of the rectangle alone.
        """
        cropped = self._map(lambda source: crop(source, box))
        cropped._whole = self, box
        return cropped

    def _neighbourhoods_within(self, kernel_size: int, padding: str) -> Neighbourhoods:
        assert self._whole is not None
        whole, box = self._whole

        def find() -> Neighbourhoods:
            margin = 2 * (kernel_size // 2)
            assert whole.label is not None
            corners = tf.stack([tf.zeros([2], tf.int32), tf.shape(whole.label)[1:]])
            wider = tf.stack(
                [tf.maximum(box[0] - margin, corners[0]), tf.minimum(box[1] + margin, corners[1])]
            )
            part = whole._map(lambda source: crop(source, wider))
            found = part.neighbourhoods(kernel_size, padding)
            inner = box - wider[0]
            return found._replace(
                ids=crop(found.ids, inner), first_ids=crop(found.first_ids, inner)
            )

        return self._once(("neighbourhoods", kernel_size, padding), find)

    def with_dense(self, dense: tf.Tensor) -> Semantics:
        """A continuous map of this resolution in place of these labels.

        Args:
            dense: `[B, H, W, C]`, such as features computed from these semantics.

        Returns:
            A `Semantics`, in the dtype of `dense`.
        """
        replaced = Semantics(dense=dense, dtype=dense.dtype)
        replaced._derived = self._derived
        return replaced

    def with_class_styles(self, class_styles: tf.Tensor | None) -> Semantics:
        """These semantics with a vector `[B, N, D]` for each label; None for none."""
        styled = self._map(lambda source: source)
        styled.class_styles = as_class_styles(self, class_styles)
        styled._derived = self._derived
        if self._whole is not None:
            styled._whole = self._whole[0].with_class_styles(class_styles), self._whole[1]
        return styled

    def repeat(self, times: int) -> Semantics:
        """The batch `times` times over, as for fake and real pictures in one batch."""
        repeated = self._map(*[lambda source: tf.concat([source] * times, 0)] * 2)
        repeated._derived = self._derived
        return repeated

    def rows(self, start: int | tf.Tensor, size: int | tf.Tensor) -> Semantics:
        """The examples `start` to `start + size` of the batch."""
        return self._map(*[lambda source: source[start : start + size]] * 2)

    def _map(self, of_maps: Any, of_styles: Any = lambda styles: styles) -> Semantics:
        parts = {"label": self.label, "edges": self.edges}
        if self.label is None:
            parts["dense"] = self._dense
        made = {name: None if part is None else of_maps(part) for name, part in parts.items()}
        if self.class_styles is not None:
            made["class_styles"] = of_styles(self.class_styles)
        mapped = Semantics(self.num_labels, **made, dtype=self.dtype, unlabelled=True)
        mapped._derived = True
        return mapped
