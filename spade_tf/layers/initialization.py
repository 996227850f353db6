"""How weights start."""

import keras


def xavier_normal(gain: float = 0.02) -> keras.initializers.Initializer:
    """Normal with standard deviation `gain * sqrt(2 / (fan_in + fan_out))`.

    Args:
        gain: float > 0. Default 0.02, that of the official release.

    Returns:
        A Keras initializer.

    Reference: Glorot & Bengio 2010; Park et al. 2019, appendix A.
    """
    return keras.initializers.VarianceScaling(
        scale=gain**2, mode="fan_avg", distribution="untruncated_normal"
    )
