"""The exponential moving average of weights."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import keras
import tensorflow as tf


class WeightAverage:
    """Keeps the exponential moving average of a network's weights.

    Each update computes `average = decay * average + (1 - decay) * weight`. The average starts at
    the weights' values when it is made. Variables that are not trained (running statistics,
    singular vectors, counts) are copied, because they follow the weights by their own rules.

    Args:
        variables: the network's variables. Make the average in the same strategy scope as them.
        decay: float in [0, 1).
        averages: variables to keep the averages in, such as those of a network of the same
            architecture; None to make new ones.

    Attributes:
        averages: one variable per variable, in the same order. Only the first part of its path
            differs from the network's, so that checkpoints can store both alike.
        decay: the argument.

    Raises:
        ValueError: if `decay` is not in [0, 1).

    Reference: Polyak & Juditsky 1992, https://doi.org/10.1137/0330046; of generators, Karras et al.
        2018, https://arxiv.org/abs/1710.10196. Differs from `keras.optimizers`' `use_ema`, whose
        average starts from the weights after the first step.

    Example:
        >>> import keras
        >>> from spade_tf.training import WeightAverage
        >>> weight = keras.Variable(0.0)
        >>> average = WeightAverage([weight], decay=0.75)
        >>> weight.assign(4.0) is None
        False
        >>> average.update()
        >>> float(average.averages[0])
        1.0
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        decay: float = 0.999,
        averages: Sequence[keras.Variable] | None = None,
    ):
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and less than 1: received {decay}")
        self.decay = decay
        self._variables = list(variables)
        if averages is None:
            self.averages = [_copy(variable) for variable in self._variables]
            return
        self.averages = list(averages)
        for average, variable in self._pairs():
            average.assign(variable)

    def update(self, step: tf.Tensor | int | None = None) -> None:
        """Moves the averages towards the weights, once per training step.

        Args:
            step: int scalar, number of earlier updates. It limits the decay to
                `(1 + step) / (10 + step)`, so that early averages forget where they started.
                None for a constant decay.
        """
        decay: tf.Tensor | float = self.decay
        if step is not None:
            step = tf.cast(step, tf.float32)
            decay = tf.minimum(self.decay, (1.0 + step) / (10.0 + step))
        share = 1.0 - decay
        for average, variable in self._pairs():
            if variable.trainable:
                average.assign(decay * average + share * variable)
            else:
                average.assign(variable)

    def swap(self) -> None:
        """Exchanges averages and weights; a second call undoes the first."""
        for average, variable in self._pairs():
            weight = tf.identity(variable.value)
            variable.assign(average)
            average.assign(weight)

    def copy_to(self, variables: Sequence[keras.Variable]) -> None:
        """Assigns the averages to the variables of a network of the same architecture.

        Args:
            variables: in the order of the averaged variables.

        Raises:
            ValueError: if their number differs.
        """
        if len(variables) != len(self.averages):
            raise ValueError(
                f"copy_to needs {len(self.averages)} variables: received {len(variables)}"
            )
        for average, variable in zip(self.averages, variables, strict=True):
            variable.assign(average)

    def _pairs(self):
        return zip(self.averages, self._variables, strict=True)


def _copy(variable):
    *scopes, name = variable.path.split("/")
    with contextlib.ExitStack() as stack:
        for scope in ["average", *scopes[1:]]:
            stack.enter_context(keras.name_scope(scope))
        return keras.Variable(
            tf.convert_to_tensor(variable.value),
            dtype=variable.dtype,
            trainable=False,
            # Every replica has the same weights, so every replica has the same average.
            aggregation="only_first_replica",
            name=name,
        )
