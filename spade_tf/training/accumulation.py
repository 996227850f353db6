"""Gradient accumulation: a batch is processed in parts, one after the other, to save memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from spade_tf.layers.semantics import Semantics
from spade_tf.layers.state import hold_state

Losses = dict[str, tf.Tensor]
Gradients = list[tf.Tensor | None]


class Part(NamedTuple):
    """The input of one pass through the networks: a replica's batch, or a part of it.

    Attributes:
        semantics: the label maps.
        image: `[B, H, W, 3]`, real pictures.
        noise: `[B, style_length]`, or None.
        draws: `[B, n]`, random numbers for the augmentation and the objective, or None.
        class_weights: `[N]`, weights of the global batch's classes, or None.
    """

    semantics: Semantics
    image: tf.Tensor
    noise: tf.Tensor | None
    draws: tf.Tensor | None = None
    class_weights: tf.Tensor | None = None


# What a part may have beside its label maps and pictures.
_OPTIONAL = Part._fields[2:]

GradientsOf = Callable[[Part], tuple[Losses, Gradients]]


def split(whole: Part, count: int) -> Iterator[Part]:
    """Splits a batch into parts of the same size.

    Args:
        whole: the batch.
        count: int >= 1, number of parts.

    Yields:
        The parts, in order.

    Raises:
        ValueError: if the batch cannot be divided.
    """
    batch_size = whole.image.shape[0]
    if batch_size is None or batch_size % count:
        raise ValueError(
            f"accumulation_steps must divide the batch of a device: received {count} for "
            f"{batch_size}"
        )
    size = batch_size // count
    for start in range(0, batch_size, size):
        rows = slice(start, start + size)
        yield whole._replace(
            semantics=whole.semantics.rows(start, size),
            image=whole.image[rows],
            noise=None if whole.noise is None else whole.noise[rows],
            draws=None if whole.draws is None else whole.draws[rows],
        )


def accumulate(gradients_of: GradientsOf, whole: Part, count: int) -> tuple[Losses, Gradients]:
    """Averages the losses and sums the gradients of the parts of a batch.

    Every part updates batch statistics; only the first part updates singular vectors.

    Args:
        gradients_of: function from a part to its losses by name and its gradients.
        whole: the batch.
        count: int >= 1, number of parts.

    Returns:
        `(losses, gradients)`.
    """
    if count == 1:
        return gradients_of(whole)
    first, others = gradients_of, gradients_of
    replicas = tf.distribute.get_replica_context()
    alone = replicas is None or replicas.num_replicas_in_sync == 1
    if alone and not tf.executing_eagerly():
        # Two traces serve any number of parts: one graph per part would take more memory than the
        # activations. Not with several replicas: they cannot synchronise inside a function.
        first, others = (_Function(gradients_of, whole.semantics) for _ in range(2))
    losses: Losses = {}
    sums: Gradients = []
    for index, part in enumerate(split(whole, count)):
        # Each part waits for the one before: this saves the memory. One no-op stands for all
        # gradients. Otherwise every operation without inputs would depend on every gradient.
        with tf.control_dependencies([gradient for gradient in sums if gradient is not None]):
            before = [tf.no_op()] if index else []
        hold = hold_state(statistics=False) if index else contextlib.nullcontext()
        with tf.control_dependencies(before), hold:
            part_losses, gradients = (others if index else first)(part)
        sums = [_add(*pair) for pair in zip(sums, gradients, strict=True)] if sums else gradients
        for name, loss in part_losses.items():
            losses[name] = losses.get(name, 0.0) + loss / count
    return losses, sums


class _Function:
    """`gradients_of` as a TensorFlow function with its own graph.

    Args:
        gradients_of: as in `accumulate`.
        semantics: semantics of the whole batch. It is called with parts of this batch.
    """

    def __init__(self, gradients_of: GradientsOf, semantics: Semantics):
        self._gradients_of = gradients_of
        self._num_labels, self._dtype = semantics.num_labels, semantics.dtype
        self._present: Sequence[bool] = ()
        self._function = tf.function(
            self._trace, autograph=False, experimental_attributes={"_noinline": True}
        )

    def __call__(self, part: Part) -> tuple[Losses, Gradients]:
        semantics = part.semantics
        named = {"label": semantics.label, "edges": semantics.edges}
        named |= {name: getattr(part, name) for name in _OPTIONAL}
        if semantics.label is None:
            named["dense"] = semantics.dense
        tensors = {name: tensor for name, tensor in named.items() if tensor is not None}
        losses, gradients = self._function(tensors | {"image": part.image})
        given = iter(gradients)
        return losses, [next(given) if present else None for present in self._present]

    def _trace(self, tensors):
        maps = {name: tensors.get(name) for name in ("label", "edges", "dense")}
        semantics = Semantics(self._num_labels, **maps, dtype=self._dtype, unlabelled=True)
        losses, gradients = self._gradients_of(
            Part(semantics, tensors["image"], *(tensors.get(name) for name in _OPTIONAL))
        )
        self._present = [gradient is not None for gradient in gradients]
        return losses, [gradient for gradient in gradients if gradient is not None]


def _add(one, other):
    return one if other is None else other if one is None else one + other
