"""The losses of SPADE: adversarial, feature matching, perceptual and KL."""
