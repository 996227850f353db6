"""Adversarial losses on the logits of a multi-scale discriminator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf


class AdversarialLoss(Protocol):
    """A pair of losses for the discriminator and the generator.

    Each method takes the logits of each scale, `[B, h, w, 1]`, and returns a float32 scalar: the
    mean over a scale's logits, then over scales.
    """

    def discriminator_fake(self, logits: Sequence[tf.Tensor]) -> tf.Tensor:
        """The discriminator's loss on generated pictures."""

    def discriminator_real(self, logits: Sequence[tf.Tensor]) -> tf.Tensor:
        """The discriminator's loss on real pictures."""

    def generator(self, logits: Sequence[tf.Tensor]) -> tf.Tensor:
        """The generator's loss on its pictures."""


def _mean_over_scales(
    function: Callable[[tf.Tensor], tf.Tensor], logits: Sequence[tf.Tensor]
) -> tf.Tensor:
    means = [tf.reduce_mean(function(tf.cast(scale, tf.float32))) for scale in logits]
    return tf.add_n(means) / len(means)


class _Serializable:
    """A loss without arguments, which Keras can save with the model that holds it."""

    def get_config(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes the loss."""
        return cls(**config)


@keras.saving.register_keras_serializable("spade_tf")
class HingeLoss(_Serializable):
    """`max(0, 1 + D(fake)) + max(0, 1 - D(real))`, and `-D(fake)` for the generator.

    Reference: Lim & Ye 2017; Miyato et al. 2018, Eq. 16-17; Park et al. 2019, appendix A.

    Example:
        >>> import numpy as np
        >>> from spade_tf.losses import HingeLoss
        >>> loss, logits = HingeLoss(), [np.full((1, 2, 2, 1), 0.5, "float32")]
        >>> float(loss.discriminator_fake(logits)), float(loss.discriminator_real(logits))
        (1.5, 0.5)
        >>> float(loss.generator(logits))
        -0.5
    """

    def discriminator_fake(self, logits):
        """`max(0, 1 + logits)`."""
        return _mean_over_scales(lambda x: tf.nn.relu(1.0 + x), logits)

    def discriminator_real(self, logits):
        """`max(0, 1 - logits)`."""
        return _mean_over_scales(lambda x: tf.nn.relu(1.0 - x), logits)

    def generator(self, logits):
        """`-logits`."""
        return _mean_over_scales(tf.negative, logits)


@keras.saving.register_keras_serializable("spade_tf")
class LeastSquaresLoss(_Serializable):
    """`D(fake)^2 + (D(real) - 1)^2`, and `(D(fake) - 1)^2` for the generator.

    Reference: Mao et al. 2017, Eq. 9, https://arxiv.org/abs/1611.04076.

    Example:
        >>> import numpy as np
        >>> from spade_tf.losses import LeastSquaresLoss
        >>> loss, logits = LeastSquaresLoss(), [np.full((1, 2, 2, 1), 0.5, "float32")]
        >>> float(loss.discriminator_fake(logits)), float(loss.discriminator_real(logits))
        (0.25, 0.25)
        >>> float(loss.generator(logits))
        0.25
    """

    def discriminator_fake(self, logits):
        """`logits^2`."""
        return _mean_over_scales(tf.square, logits)

    def discriminator_real(self, logits):
        """`(logits - 1)^2`."""
        return _mean_over_scales(lambda x: tf.square(x - 1.0), logits)

    def generator(self, logits):
        """`(logits - 1)^2`."""
        return self.discriminator_real(logits)


@keras.saving.register_keras_serializable("spade_tf")
class OriginalLoss(_Serializable):
    """The original, non-saturating loss: cross-entropy of logits.

    Reference: Goodfellow et al. 2014, section 3.

    Example:
        >>> import numpy as np
        >>> from spade_tf.losses import OriginalLoss
        >>> round(float(OriginalLoss().generator([np.zeros((1, 2, 2, 1), "float32")])), 4)
        0.6931
    """

    def discriminator_fake(self, logits):
        """`-log(1 - sigmoid(logits)) = softplus(logits)`."""
        return _mean_over_scales(tf.nn.softplus, logits)

    def discriminator_real(self, logits):
        """`-log(sigmoid(logits)) = softplus(-logits)`."""
        return _mean_over_scales(lambda x: tf.nn.softplus(-x), logits)

    def generator(self, logits):
        """`-log(sigmoid(logits))`."""
        return self.discriminator_real(logits)


@keras.saving.register_keras_serializable("spade_tf")
class WassersteinLoss(_Serializable):
    """`D(fake) - D(real)`, and `-D(fake)` for the generator.

    Reference: Arjovsky et al. 2017, Eq. 2-3. Spectral normalisation must bound the discriminator's
        Lipschitz constant.

    Example:
        >>> import numpy as np
        >>> from spade_tf.losses import WassersteinLoss
        >>> loss, logits = WassersteinLoss(), [np.full((1, 2, 2, 1), 0.5, "float32")]
        >>> float(loss.discriminator_fake(logits)), float(loss.discriminator_real(logits))
        (0.5, -0.5)
        >>> float(loss.generator(logits))
        -0.5
    """

    def discriminator_fake(self, logits):
        """`logits`."""
        return _mean_over_scales(tf.identity, logits)

    def discriminator_real(self, logits):
        """`-logits`."""
        return _mean_over_scales(tf.negative, logits)

    def generator(self, logits):
        """`-logits`."""
        return self.discriminator_real(logits)


def get_adversarial_loss(name: str) -> AdversarialLoss:
    """Returns an adversarial loss by its name.

    Args:
        name: "hinge", "least_squares", "original" or "wasserstein".

    Returns:
        The loss.

    Raises:
        ValueError: if there is no such loss.

    Example:
        >>> from spade_tf.losses import get_adversarial_loss
        >>> type(get_adversarial_loss("hinge")).__name__
        'HingeLoss'
    """
    losses: dict[str, Callable[[], AdversarialLoss]] = {
        "hinge": HingeLoss,
        "least_squares": LeastSquaresLoss,
        "original": OriginalLoss,
        "wasserstein": WassersteinLoss,
    }
    if name not in losses:
        raise ValueError(f"adversarial loss must be one of {', '.join(losses)}: received {name!r}")
    return losses[name]()
