"""The perceptual (VGG) loss."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

__all__ = ["PerceptualLoss"]

# Of the five feature maps, shallowest first.
WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


@keras.saving.register_keras_serializable("spade_tf")
class PerceptualLoss:
    """Distance of two batches of images in the features of a fixed network.

    Computes `sum_i weights[i] * mean(|F_i(fake_image) - F_i(real_image)|)`, with the mean over
    batch, pixels and channels of feature map i. No gradient flows to the real images.

    Args:
        extractor: maps `[B, H, W, 3]` images to a list of feature maps, one per weight; see
            `spade_tf.networks.vgg.VGGFeatures`. Calls must not change it.
        weights: one non-negative number per feature map, shallowest first.

    Call arguments:
        real_image: `[B, H, W, 3]`.
        fake_image: `[B, H, W, 3]`.

    Returns:
        The loss, a float32 scalar.

    Raises:
        ValueError: if the numbers of feature maps and weights differ.

    Reference: Park et al. 2019, section 3 and appendix A, https://arxiv.org/abs/1903.07291, after
        Wang et al. 2018 (pix2pixHD), https://arxiv.org/abs/1711.11585: relu1_1 to relu5_1 of
        VGG19. The factor 10 of this term in the total loss is the caller's.

    Example:
        >>> import numpy as np
        >>> from spade_tf import PerceptualLoss
        >>> loss = PerceptualLoss(lambda image: [image, image[:, ::2, ::2]], weights=[1.0, 0.5])
        >>> real, fake = np.zeros((1, 4, 4, 3), "float32"), np.full((1, 4, 4, 3), 0.5, "float32")
        >>> float(loss(real, fake))
        0.75
    """

    def __init__(
        self,
        extractor: Callable[[Any], Sequence[Any]],
        weights: Sequence[float] = WEIGHTS,
    ) -> None:
        self.extractor = extractor
        self.weights = tuple(weights)
        if not self.weights or min(self.weights) < 0:
            raise ValueError(f"weights must be non-negative and not empty; received {weights!r}")

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor. A model that holds the loss saves the weights."""
        extractor = keras.saving.serialize_keras_object(self.extractor)
        return {"extractor": extractor, "weights": list(self.weights)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PerceptualLoss":
        """Makes one from what `get_config` gives."""
        extractor = keras.saving.deserialize_keras_object(config["extractor"])
        return cls(extractor, config["weights"])

    def __call__(self, real_image: Any, fake_image: Any) -> Any:
        """Computes the loss."""
        # Two passes: with both in one batch, the backward pass would also cover the real half.
        real_features = self.extractor(ops.stop_gradient(real_image))
        fake_features = self.extractor(fake_image)
        if not len(real_features) == len(fake_features) == len(self.weights):
            raise ValueError(
                f"the extractor must return {len(self.weights)} feature maps, one per weight; "
                f"it returned {len(fake_features)}"
            )
        loss = ops.zeros((), "float32")
        for weight, real, fake in zip(self.weights, real_features, fake_features, strict=True):
            real = ops.cast(ops.stop_gradient(real), "float32")
            loss += weight * ops.mean(ops.abs(ops.cast(fake, "float32") - real))
        return loss
