"""The two optimizers of adversarial training, as Keras's callbacks see them."""

from __future__ import annotations

from typing import Any

import keras

from spade_tf.training.adam import adam

OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")
# The other arguments of `keras.Model.compile` that have an effect.
COMPILE_ARGUMENTS = ("run_eagerly", "steps_per_execution", "jit_compile")


class OptimizerPair:
    """Stands in the place of `model.optimizer`, so that callbacks reach both learning rates.

    `keras.callbacks.LearningRateScheduler` and `ReduceLROnPlateau` read and set `learning_rate`.
    Here it is the generator's; when it is set, the discriminator's keeps its ratio to it.

    Args:
        generator: optimizer of the generator.
        discriminator: optimizer of the discriminator.

    Example:
        >>> import keras
        >>> pair = OptimizerPair(keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.4))
        >>> pair.learning_rate = 0.05
        >>> round(float(pair.discriminator.learning_rate), 6)
        0.2
    """

    # Keras builds an optimizer that is not built; `GauGAN.compile` has built both.
    built = True

    def __init__(
        self, generator: keras.optimizers.Optimizer, discriminator: keras.optimizers.Optimizer
    ):
        self.generator = generator
        self.discriminator = discriminator

    @property
    def iterations(self) -> keras.Variable:
        """Updates of the generator."""
        return self.generator.iterations

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of both."""
        return [*self.generator.variables, *self.discriminator.variables]

    @property
    def learning_rate(self) -> Any:
        """The generator's learning rate."""
        return self.generator.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        before = float(self.generator.learning_rate)
        ratio = float(self.discriminator.learning_rate) / before if before else 1.0
        self.generator.learning_rate = value
        self.discriminator.learning_rate = value * ratio


def get_pair(
    generator_optimizer: keras.optimizers.Optimizer | str | None,
    discriminator_optimizer: keras.optimizers.Optimizer | str | None,
) -> OptimizerPair:
    """Optimizers by what `GauGAN.compile` was given; Adam with the paper's two rates for None.

    Raises:
        ValueError: if both are one and the same.
    """
    pair = OptimizerPair(
        keras.optimizers.get(generator_optimizer or adam(1e-4)),
        keras.optimizers.get(discriminator_optimizer or adam(4e-4)),
    )
    if pair.generator is pair.discriminator:
        raise ValueError(
            "GauGAN.compile: one optimizer received for both networks; give each its own"
        )
    return pair


def check_compile_arguments(arguments: dict[str, Any]) -> None:
    """Raises a ValueError that names an argument of `keras.Model.compile` without an effect."""
    for name, value in arguments.items():
        if name not in COMPILE_ARGUMENTS:
            raise ValueError(
                f"GauGAN.compile: {name}={value!r} received, which would have no "
                "effect; give generator_optimizer and discriminator_optimizer here, and "
                "losses and their weights to GauGAN"
            )
