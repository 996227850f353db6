"""Weights of one network for another that conditions on other classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from spade_tf.training.checkpoints import by_path


class TransferError(ValueError):
    """Networks whose weights do not fit each other; the message is one line."""


class SemanticAxis(NamedTuple):
    """Where a weight holds one entry per channel of the semantics.

    Attributes:
        axis: int, of the weight.
        groups: int >= 1, how many times the channels follow each other there: `k * k` for the
            singular vector of a `k * k` kernel, 1 else.
    """

    axis: int
    groups: int


def semantic_axes(
    network: keras.Model, other: keras.Model, difference: int
) -> dict[str, SemanticAxis]:
    """Finds which weights have an entry per channel, by two networks alike but for their number.

    Args:
        network: of some number of semantic channels.
        other: of another number.
        difference: int, not 0, how many more channels `other` has.

    Returns:
        The axis of each weight that has one, by the weight's path.

    Raises:
        TransferError: naming the first weight in which they differ otherwise.
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
        # Only the singular vector of a kernel is of one axis with all of the kernel's positions.
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
    """Copies the weights of a network to one of other semantic channels.

    What belongs to a channel moves with it. A channel that the source does not know has zeros:
    where it is absent from a label map, both networks compute the same. All is checked before
    the first weight is assigned.

    Args:
        source: the network to copy from.
        target: the network to copy to.
        axes: of the source's weights; see `semantic_axes`.
        channels: for each semantic channel of the target, which one of the source it is; None
            for a new one.
        source_channels: int >= 1, semantic channels of the source.
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
    for path in source.keys() ^ target.keys():
        has = "the source alone" if path in source else "the new network alone"
        raise TransferError(f"{network.name}/{path} is in {has}: both must be of one make")


def _mismatch(network, path, source, target):
    return (
        f"{network.name}/{path} is {list(source)} in the source and {list(target)} in the new "
        "network: both must be of one make"
    )
