"""The losses of SPADE: adversarial, feature matching, perceptual and KL."""

from typing import TYPE_CHECKING

from spade_tf.lazy import lazily

if TYPE_CHECKING:
    from spade_tf.losses.adversarial import AdversarialLoss as AdversarialLoss
    from spade_tf.losses.adversarial import HingeLoss as HingeLoss
    from spade_tf.losses.adversarial import LeastSquaresLoss as LeastSquaresLoss
    from spade_tf.losses.adversarial import OriginalLoss as OriginalLoss
    from spade_tf.losses.adversarial import WassersteinLoss as WassersteinLoss
    from spade_tf.losses.adversarial import get_adversarial_loss as get_adversarial_loss
    from spade_tf.losses.distillation import distillation_feature_loss as distillation_feature_loss
    from spade_tf.losses.distillation import distillation_output_loss as distillation_output_loss
    from spade_tf.losses.feature_matching import feature_matching_loss as feature_matching_loss
    from spade_tf.losses.kl import kl_divergence as kl_divergence
    from spade_tf.losses.label_mix import label_mix_loss as label_mix_loss
    from spade_tf.losses.label_mix import label_mix_mask as label_mix_mask
    from spade_tf.losses.perceptual import PerceptualLoss as PerceptualLoss
    from spade_tf.losses.pixel_classification import class_weights as class_weights
    from spade_tf.losses.pixel_classification import pixel_class_loss as pixel_class_loss
    from spade_tf.losses.pixel_classification import pixel_fake_loss as pixel_fake_loss
    from spade_tf.losses.r1 import r1_penalty as r1_penalty
    from spade_tf.losses.stripes import stripe_loss as stripe_loss

__all__ = [
    "AdversarialLoss",
    "HingeLoss",
    "LeastSquaresLoss",
    "OriginalLoss",
    "PerceptualLoss",
    "WassersteinLoss",
    "class_weights",
    "distillation_feature_loss",
    "distillation_output_loss",
    "feature_matching_loss",
    "get_adversarial_loss",
    "kl_divergence",
    "label_mix_loss",
    "label_mix_mask",
    "pixel_class_loss",
    "pixel_fake_loss",
    "r1_penalty",
    "stripe_loss",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "AdversarialLoss": "spade_tf.losses.adversarial",
        "HingeLoss": "spade_tf.losses.adversarial",
        "LeastSquaresLoss": "spade_tf.losses.adversarial",
        "OriginalLoss": "spade_tf.losses.adversarial",
        "PerceptualLoss": "spade_tf.losses.perceptual",
        "WassersteinLoss": "spade_tf.losses.adversarial",
        "class_weights": "spade_tf.losses.pixel_classification",
        "distillation_feature_loss": "spade_tf.losses.distillation",
        "distillation_output_loss": "spade_tf.losses.distillation",
        "feature_matching_loss": "spade_tf.losses.feature_matching",
        "get_adversarial_loss": "spade_tf.losses.adversarial",
        "kl_divergence": "spade_tf.losses.kl",
        "label_mix_loss": "spade_tf.losses.label_mix",
        "label_mix_mask": "spade_tf.losses.label_mix",
        "pixel_class_loss": "spade_tf.losses.pixel_classification",
        "pixel_fake_loss": "spade_tf.losses.pixel_classification",
        "r1_penalty": "spade_tf.losses.r1",
        "stripe_loss": "spade_tf.losses.stripes",
    },
)
