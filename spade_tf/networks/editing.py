"""Pictures that follow the strokes of a brush on their label maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from spade_tf.layers.semantics import crop
from spade_tf.networks.fused.generator import FusedGenerator
from spade_tf.networks.fused.noise_input import FusedNoiseInput
from spade_tf.networks.upsampling import upsample

# How far the two 3x3 convolutions of a residual block see.
_BLOCK_MARGIN = 2


class Painting(NamedTuple):
    """A picture, and what it takes to change it.

    Attributes:
        image: float32 `[1, H, W, 3]` in [-1, 1].
        inputs: the label map it is of, the instance map if there is one, and `class_styles`,
            `[1, N, D]`, if there are any.
        z: `[1, z_dim]`, or None.
        features: output of each block, `[1, h, w, C]`.
        exact: whether it is what the generator makes of its label map, rather than close to it.
    """

    image: tf.Tensor
    inputs: Mapping[str, tf.Tensor]
    z: tf.Tensor | None
    features: tuple[tf.Tensor, ...]
    exact: bool


class EditableGenerator(FusedGenerator):
    """A fused generator that changes a picture where its label map was changed.

    What a stroke changes reaches, after the coarse blocks, every pixel of the picture, most of
    them by next to nothing. `edit` computes anew a rectangle around the stroke at every
    resolution, wider by `reach` cells on each side, and takes the rest from the previous picture:
    within the rectangle it sees the new labels exactly, and stale features around it. `paint`
    makes the exact picture, for when the brush is lifted. Two strokes far apart are better made
    one after the other: the rectangle covers both.

    Args:
        generator: as of `FusedGenerator`.
        dtype: as of `FusedGenerator`.
        reach: int >= 0, in cells of each resolution. Larger is slower and closer. Default 1.

    Reference: Li et al. 2022 (SIGE), https://arxiv.org/abs/2211.02048, who keep features of
        unedited regions likewise; theirs are tiles of a mask, here it is one rectangle.

    Example:
        >>> import numpy as np
        >>> from spade_tf import SPADEGenerator
        >>> from spade_tf.networks import EditableGenerator
        >>> generator = SPADEGenerator(3, image_size=(32, 32), filters=1)
        >>> editor, label = EditableGenerator(generator), np.zeros((1, 32, 32), "int32")
        >>> painting = editor.paint({"label": label})
        >>> label[0, :4, :4] = 1
        >>> changed = editor.edit(painting, {"label": label})
        >>> tuple(changed.image.shape), changed.exact
        ((1, 32, 32, 3), False)
    """

    def __init__(self, generator: keras.Model, dtype: str = "float32", reach: int = 1):
        super().__init__(generator, dtype)
        if reach < 0:
            raise ValueError(f"reach must be >= 0: received {reach}")
        self.reach = reach
        self._compiled_paint = tf.function(self._paint, autograph=False)
        self._compiled_edit = tf.function(self.edit_within, autograph=False)

    def paint(self, inputs: Mapping[str, tf.Tensor], z: tf.Tensor | None = None) -> Painting:
        """The exact picture of a label map.

        Args:
            inputs: `label` int `[1, H, W]` and, with edges, `instance` int `[1, H, W]`; and maybe
                `class_styles` `[1, N, D]`, drawn where there are to be some.
            z: `[1, z_dim]`; drawn when None, where there is a style.

        Returns:
            A `Painting`.
        """
        inputs = _tensors(inputs)
        if self.z_dim is not None and z is None:
            z = tf.random.normal([1, self.z_dim])
        if self.class_style_dim and "class_styles" not in inputs:
            drawn = tf.random.normal([1, self.num_labels, self.class_style_dim])
            inputs = {**inputs, "class_styles": drawn}
        image, features = self._compiled_paint(inputs, z)
        return Painting(image, inputs, z, features, exact=True)

    def edit(self, previous: Painting, inputs: Mapping[str, tf.Tensor]) -> Painting:
        """The picture after a stroke, exact only if nothing was changed.

        Args:
            previous: the picture before it.
            inputs: of the whole new label map, as in `paint`; styles stay those of `previous`.

        Returns:
            A `Painting`; `paint(edited.inputs, edited.z)` is the exact one.

        Raises:
            ValueError: if the label map is of another size than the one before.
        """
        inputs = _tensors(inputs)
        if "class_styles" in previous.inputs:
            inputs = {**inputs, "class_styles": previous.inputs["class_styles"]}
        if inputs["label"].shape != previous.inputs["label"].shape:
            raise ValueError(
                "an edited label map must be of the size it had: received "
                f"{inputs['label'].shape} after {previous.inputs['label'].shape}"
            )
        changed = tf.zeros_like(inputs["label"], tf.bool)
        for name in inputs.keys() - {"class_styles"}:
            changed |= inputs[name] != previous.inputs[name]
        where = tf.where(changed)[:, 1:]
        if not len(where):
            return previous._replace(inputs=inputs)
        # An instance edge lies on both sides of a boundary.
        first = tf.cast(tf.reduce_min(where, 0), tf.int32) - int("instance" in inputs)
        last = tf.cast(tf.reduce_max(where, 0), tf.int32) + int("instance" in inputs)
        image, features = self._compiled_edit(
            inputs, previous.z, previous.features, previous.image, tf.stack([first, last + 1])
        )
        return Painting(image, inputs, previous.z, features, exact=False)

    def _paint(self, inputs, z):
        semantics, scale = self.semantics(inputs), self.scale
        x, features = self.start(semantics, z), []
        for index, upsamples in enumerate(self.upsamples):
            scale //= 2 if upsamples else 1
            x = self.apply_block(index, x, semantics.downsample(scale))
            features.append(x)
        return self.finish(x), tuple(features)

    def edit_within(
        self,
        inputs: Mapping[str, tf.Tensor],
        z: tf.Tensor | None,
        features: Sequence[tf.Tensor],
        image: tf.Tensor,
        changed: tf.Tensor,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """What `edit` computes, of tensors alone, for graphs.

        Args:
            inputs: of the new label map, as in `paint`.
            z: as in `paint`.
            features: of the picture before, as `Painting` has them.
            image: the picture before.
            changed: int32 `[2, 2]`, first and last row and column that were changed, the last ones
                exclusive. If it is the whole map, nothing of the picture before is used, and the
                new one is exact.

        Returns:
            The new picture and its features.
        """
        semantics, scale = self.semantics(inputs), self.scale
        changed = tf.maximum(changed, 0)
        # The first block sees the whole map in a few cells, and is made anew.
        x = self.blocks[0](self.start(semantics, z), semantics.downsample(scale))
        made = [x]
        noises: list[FusedNoiseInput | None] = [*self.noises] or [None] * len(self.blocks[1:])
        for block, noise, upsamples, old in zip(
            self.blocks[1:], noises, self.upsamples[1:], features[1:], strict=True
        ):
            scale //= 2 if upsamples else 1
            size = tf.shape(semantics.downsample(scale).label)[1:]
            window = _window(changed, scale, self.reach, size)
            outer = _window(changed, scale, self.reach + _BLOCK_MARGIN, size)
            if upsamples:
                # Even corners, so that a crop of the coarse map covers the same cells. Bilinear
                # upsampling also sees the cells next to them.
                beyond = int(self.upsampling == "bilinear")
                first = tf.maximum(outer[0] // 2 - beyond, 0)
                last = tf.minimum((outer[1] + 1) // 2 + beyond, size // 2)
                coarse = tf.stack([first, last])
                x, outer = upsample(crop(x, coarse), self.upsampling), 2 * coarse
            else:
                x = crop(x, outer)
            if noise is not None:
                x = noise(x, outer[0])
            new = block(x, semantics.downsample(scale).crop(outer))
            x = _paste(old, crop(new, window - outer[0]), window)
            made.append(x)
        size = tf.shape(image)[1:3]
        window = _window(changed, 1, self.reach, size)
        outer = _window(changed, 1, self.reach + 1, size)
        part = self.finish(crop(x, outer))
        return _paste(image, crop(part, window - outer[0]), window), tuple(made)


def _tensors(inputs):
    return {name: tf.convert_to_tensor(ids) for name, ids in inputs.items() if ids is not None}


def _window(changed, scale, margin, size):
    """The cells of a resolution in which the changed pixels are, and a margin."""
    first = tf.maximum(changed[0] // scale - margin, 0)
    return tf.stack([first, tf.minimum((changed[1] - 1) // scale + 1 + margin, size)])


def _paste(whole, part, box):
    """`whole` with a rectangle replaced."""
    top, left, bottom, right = tf.unstack(tf.reshape(box, [4]))
    rows = tf.concat([whole[:, top:bottom, :left], part, whole[:, top:bottom, right:]], 2)
    pasted = tf.concat([whole[:, :top], rows, whole[:, bottom:]], 1)
    pasted.set_shape(whole.shape)
    return pasted
