"""The Inception network of 2015, whose features make a Fréchet distance an FID."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from spade_tf.networks.frozen import _FrozenNetwork

__all__ = ["InceptionFeatures"]

NUM_FEATURES = 2048
# The smallest pictures that the poolings and convolutions without padding leave something of.
_SMALLEST = 75


class _Conv(NamedTuple):
    """A convolution with ReLU. Strides of 2 are without padding."""

    name: str
    filters: int
    size: tuple[int, int] = (1, 1)
    strides: int = 1
    padding: str = "same"


class _Pool(NamedTuple):
    """A 3×3 pooling, `"average"` or `"max"`. Strides of 2 are without padding."""

    kind: str
    strides: int = 1


class _Fork(NamedTuple):
    """Convolutions of the same maps, side by side."""

    convs: tuple[_Conv, ...]


_Step = _Conv | _Pool | _Fork
_Branch = tuple[_Step, ...]

_STEM: _Branch = (
    _Conv("Conv2d_1a_3x3", 32, (3, 3), 2),
    _Conv("Conv2d_2a_3x3", 32, (3, 3), padding="valid"),
    _Conv("Conv2d_2b_3x3", 64, (3, 3)),
    _Pool("max", 2),
    _Conv("Conv2d_3b_1x1", 80),
    _Conv("Conv2d_4a_3x3", 192, (3, 3), padding="valid"),
    _Pool("max", 2),
)


def _of_35(pooled: int) -> list[_Branch]:
    """A block at 35×35."""
    return [
        (_Conv("branch1x1", 64),),
        (_Conv("branch5x5_1", 48), _Conv("branch5x5_2", 64, (5, 5))),
        (
            _Conv("branch3x3dbl_1", 64),
            _Conv("branch3x3dbl_2", 96, (3, 3)),
            _Conv("branch3x3dbl_3", 96, (3, 3)),
        ),
        (_Pool("average"), _Conv("branch_pool", pooled)),
    ]


def _of_17(narrow: int) -> list[_Branch]:
    """A block at 17×17, with 7×7 convolutions as products of 1×7 and 7×1."""
    wide, high = (1, 7), (7, 1)
    return [
        (_Conv("branch1x1", 192),),
        (
            _Conv("branch7x7_1", narrow),
            _Conv("branch7x7_2", narrow, wide),
            _Conv("branch7x7_3", 192, high),
        ),
        (
            _Conv("branch7x7dbl_1", narrow),
            _Conv("branch7x7dbl_2", narrow, high),
            _Conv("branch7x7dbl_3", narrow, wide),
            _Conv("branch7x7dbl_4", narrow, high),
            _Conv("branch7x7dbl_5", 192, wide),
        ),
        (_Pool("average"), _Conv("branch_pool", 192)),
    ]


def _of_8(pool: str) -> list[_Branch]:
    """A block at 8×8."""

    def fork(name: str) -> _Fork:
        return _Fork((_Conv(f"{name}a", 384, (1, 3)), _Conv(f"{name}b", 384, (3, 1))))

    return [
        (_Conv("branch1x1", 320),),
        (_Conv("branch3x3_1", 384), fork("branch3x3_2")),
        (
            _Conv("branch3x3dbl_1", 448),
            _Conv("branch3x3dbl_2", 384, (3, 3)),
            fork("branch3x3dbl_3"),
        ),
        (_Pool(pool), _Conv("branch_pool", 192)),
    ]


_BLOCKS: dict[str, list[_Branch]] = {
    "Mixed_5b": _of_35(32),
    "Mixed_5c": _of_35(64),
    "Mixed_5d": _of_35(64),
    "Mixed_6a": [
        (_Conv("branch3x3", 384, (3, 3), 2),),
        (
            _Conv("branch3x3dbl_1", 64),
            _Conv("branch3x3dbl_2", 96, (3, 3)),
            _Conv("branch3x3dbl_3", 96, (3, 3), 2),
        ),
        (_Pool("max", 2),),
    ],
    "Mixed_6b": _of_17(128),
    "Mixed_6c": _of_17(160),
    "Mixed_6d": _of_17(160),
    "Mixed_6e": _of_17(192),
    "Mixed_7a": [
        (_Conv("branch3x3_1", 192), _Conv("branch3x3_2", 320, (3, 3), 2)),
        (
            _Conv("branch7x7x3_1", 192),
            _Conv("branch7x7x3_2", 192, (1, 7)),
            _Conv("branch7x7x3_3", 192, (7, 1)),
            _Conv("branch7x7x3_4", 192, (3, 3), 2),
        ),
        (_Pool("max", 2),),
    ],
    "Mixed_7b": _of_8("average"),
    # The network of 2015 takes the maximum here; later releases of Inception take the mean.
    "Mixed_7c": _of_8("max"),
}


@keras.saving.register_keras_serializable("spade_tf")
class InceptionFeatures(_FrozenNetwork):
    """The 2,048 pooled features of the Inception network of 2015.

    Five convolutions and two poolings, eleven blocks of parallel branches, and the mean over the
    picture. Batch normalisation is folded into the convolutions. Means in average poolings leave
    the padding out. `spade_tf.convert.inception.load_inception` reads the weights.

    Args:
        dtype: of the computation and of the weights. Default float32, whatever the policy.
        **kwargs: `name`.

    Call arguments:
        image: `[B, H, W, 3]` RGB pictures in [-1, 1], H and W at least 75. FID is defined at
            299×299.

    Returns:
        `[B, 2048]`.

    Raises:
        ValueError: if the pictures are too small, or not RGB.

    Reference: Szegedy et al. 2015, https://arxiv.org/abs/1512.00567; differs: the poolings, as in
        the graph of 2015-12-05 that FID uses (Heusel et al. 2017, https://arxiv.org/abs/1706.08500).

    Example:
        >>> import numpy as np
        >>> from spade_tf.networks import InceptionFeatures
        >>> tuple(InceptionFeatures()(np.zeros((1, 75, 75, 3), "float32")).shape)
        (1, 2048)
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights; the network is not run."""
        if input_shape[-1] != 3:
            raise ValueError(f"image must have 3 channels; received shape {tuple(input_shape)}")
        inputs = self._add_branch("", _STEM, 3)
        for name, branches in _BLOCKS.items():
            inputs = sum(self._add_branch(f"{name}.", branch, inputs) for branch in branches)

    def _add_branch(self, prefix: str, branch: _Branch, inputs: int) -> int:
        """Makes the weights of a branch, and says how many maps it gives."""
        for step in branch:
            convs = list(_convs(step))
            for conv in convs:
                shape = (*conv.size, inputs, conv.filters)
                self.add_conv(prefix + conv.name, shape, conv.filters)
            inputs = sum(conv.filters for conv in convs) or inputs
        return inputs

    def call(self, image: Any) -> Any:
        """Computes the features."""
        if any(size is not None and size < _SMALLEST for size in image.shape[1:3]):
            raise ValueError(
                f"image must be at least {_SMALLEST}×{_SMALLEST}; received shape "
                f"{tuple(image.shape)}"
            )
        # (byte - 128) / 128.
        x = self._branch("", _STEM, image * (127.5 / 128) - 0.5 / 128)
        for name, branches in _BLOCKS.items():
            parts = [self._branch(f"{name}.", branch, x) for branch in branches]
            x = ops.concatenate(parts, axis=-1)
        return ops.mean(x, axis=(1, 2))

    def _branch(self, prefix: str, branch: _Branch, x: Any) -> Any:
        for step in branch:
            if isinstance(step, _Pool):
                pool = ops.max_pool if step.kind == "max" else ops.average_pool
                padding = "valid" if step.strides == 2 else "same"
                x = pool(x, 3, step.strides, padding, data_format="channels_last")
                continue
            parts = [self._relu_conv(prefix, conv, x) for conv in _convs(step)]
            x = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)
        return x

    def _relu_conv(self, prefix: str, conv: _Conv, x: Any) -> Any:
        padding = "valid" if conv.strides == 2 else conv.padding
        return ops.relu(self.conv(prefix + conv.name, x, strides=conv.strides, padding=padding))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[Any, ...]:
        """The shape of the features."""
        return (input_shape[0], NUM_FEATURES)


def _convs(step: _Step) -> Iterator[_Conv]:
    if isinstance(step, _Conv):
        yield step
    elif isinstance(step, _Fork):
        yield from step.convs
