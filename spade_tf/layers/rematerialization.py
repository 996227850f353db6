"""Memory for time: activations computed again rather than kept."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from spade_tf.layers.state import hold_state


def rematerialize(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """A function whose gradient computes it again, keeping its arguments only.

    The second time, batch statistics and singular vectors are held still, since they have moved
    already. Only the arguments, and variables that the function reads, receive gradients.

    Args:
        function: of float tensors, to a float tensor.

    Returns:
        A function of the same values and gradients.

    Reference: Chen et al. 2016, https://arxiv.org/abs/1604.06174.
    """
    calls = 0

    def repeatable(*arguments):
        nonlocal calls
        calls += 1
        if calls == 1:
            return function(*arguments)
        # The arguments wait for the gradients from above, and so must what comes from elsewhere,
        # such as gamma and beta of a label map: otherwise it is made again at once, and kept.
        with hold_state(), tf.control_dependencies(list(arguments)):
            return function(*arguments)

    return tf.recompute_grad(repeatable)
