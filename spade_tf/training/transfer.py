"""Copies the weights of a network to one for other classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from spade_tf.training.checkpoints import by_path


class TransferError(ValueError):
    """Networks whose weights do not fit each other; the message is one line."""


class SemanticAxis(NamedTuple):
    """The axis of a weight that has one entry per channel of the semantics.

    Attributes:
        axis: int, index of the axis.
        groups: int >= 1, how often the channels repeat along it: `k * k` for the singular vector
            of a `k * k` kernel, otherwise 1.
    """

    axis: int
    groups: int


def semantic_axes(
    network: keras.Model, other: keras.Model, difference: int
) -> dict[str, SemanticAxis]:
    """Finds the weights with one entry per channel.

    It compares two networks that differ only in the number of semantic channels.

    Args:
        network: the first network.
        other: the second network.
        difference: int, not 0, how many more channels `other` has.

    Returns:
        By path, the axis of each weight that has one.

    Raises:
        TransferError: naming the first weight that differs in another way.
    """
    ours, theirs = by_path(network.variables), by_path(other.variables)
    _check_paths(network, ours, theirs)
    axes = {}
    for path, variable in ours.items():
        shapes = [tuple(each.shape) for each in (variable, theirs[path])]
        pairs = list(zip(*shapes, strict=False))
        differing = [axis for axis, (a, b) in enumerate(pairs) if a != b]
        if len(shapes[0]) == len(shapes[1]) and not differing:
            continue
        wrong = len(shapes[0]) != len(shapes[1]) or len(differing) != 1
        groups, rest = (1, 0) if wrong else divmod(np.subtract(*pairs[differing[0]]), -difference)
        # Only a kernel's singular vector has all positions of the kernel in one axis.
        if wrong or rest or groups < 1 or (groups > 1 and not path.endswith("/v")):
            raise TransferError(_mismatch(network, path, *shapes))
        axes[path] = SemanticAxis(differing[0], int(groups))
    return axes


def transfer(
    source: keras.Model,
    target: keras.Model,
    *,
    axes: dict[str, SemanticAxis],
    channels: Sequence[int | None],
    source_channels: int,
    first: bool,
) -> None:
    """Copies the weights of a network to one with other semantic channels.

    Weights of a channel move with the channel. A channel that the source does not have gets zeros:
    on label maps without it, both networks compute the same. Everything is checked before the
    first weight is assigned.

    Args:
        source: the network to copy from.
        target: the network to copy to.
        axes: axes of the source's weights; see `semantic_axes`.
        channels: for each semantic channel of the target, its index in the source; None for a new
            channel.
        source_channels: int >= 1, number of semantic channels of the source.
        first: bool, whether semantic channels come before all others along their axes, as in the
            discriminator, or after them, as in the generator.

    Raises:
        TransferError: naming the first weight that does not fit.
    """
    ours, theirs = by_path(target.variables), by_path(source.variables)
    _check_paths(target, theirs, ours)
    values = {}
    for path, variable in ours.items():
        value = theirs[path].numpy()
        if path in axes:
            value = _moved(value, axes[path], channels, source_channels, first)
        if value.shape != tuple(variable.shape):
            raise TransferError(_mismatch(target, path, theirs[path].shape, variable.shape))
        values[path] = value
    for path, variable in ours.items():
        variable.assign(values[path])


def _moved(value, where, channels, source_channels, first):
    axis, groups = where
    shape = value.shape
    size = shape[axis] // groups
    value = value.reshape(*shape[:axis], groups, size, *shape[axis + 1 :])
    value = np.moveaxis(value, axis + 1, 0)
    if first:
        own, others = value[:source_channels], value[source_channels:]
    else:
        others, own = value[: size - source_channels], value[size - source_channels :]
    new = np.zeros((len(channels), *value.shape[1:]), value.dtype)
    for index, channel in enumerate(channels):
        if channel is not None:
            new[index] = own[channel]
    moved = np.concatenate([new, others] if first else [others, new])
    moved = np.moveaxis(moved, 0, axis + 1)
    return moved.reshape(*shape[:axis], -1, *shape[axis + 1 :])


def _check_paths(network, source, target):
    for path in [path for path in (*source, *target) if not (path in source and path in target)]:
        has = "source" if path in source else "new"
        raise TransferError(
            f"{network.name}/{path} is only in the {has} network: both must have the same "
            "architecture"
        )


def _mismatch(network, path, source, target):
    return (
        f"{network.name}/{path} is {list(source)} in the source and {list(target)} in the new "
        "network: both must have the same architecture"
    )
