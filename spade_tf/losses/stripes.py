"""A loss of rows and columns, against stripes that run through a picture."""

import tensorflow as tf


def stripe_loss(fake_image: tf.Tensor, real_image: tf.Tensor) -> tf.Tensor:
    """How differently the mean rows, and columns, of a picture and of the real one step.

    `1/2 (mean_y |r(y + 1) - r(y)| + mean_x |c(x + 1) - c(x)|)`, where `r` are the means over x of
    `fake - real`, and `c` those over y, for each picture and channel. Texture averages out, and an
    edge of the layout is in both pictures. What remains are stripes. We saw them in the sharp
    pictures of a generator with bilinear upsampling, at the same rows of all pictures.

    Args:
        fake_image: `[B, H, W, C]`, H and W at least 2.
        real_image: `[B, H, W, C]`, of the same label maps.

    Returns:
        A float32 scalar, from 0 to 4 for pictures in [-1, 1].

    Reference: none, it is ours. Durall et al. 2020, https://arxiv.org/abs/2003.01826, compare
        spectra against such traces of upsampling; rows and columns take no Fourier transform.

    Example:
        >>> import numpy as np
        >>> from spade_tf.losses import stripe_loss
        >>> stripes = np.zeros((1, 4, 4, 1), "float32")
        >>> stripes[:, ::2] = 0.5
        >>> float(stripe_loss(stripes, np.zeros((1, 4, 4, 1), "float32")))
        0.25
    """
    difference = tf.cast(fake_image, tf.float32) - tf.cast(real_image, tf.float32)
    means = [tf.reduce_mean(difference, axis) for axis in (2, 1)]
    steps = [tf.reduce_mean(tf.abs(mean[:, 1:] - mean[:, :-1])) for mean in means]
    return 0.5 * tf.add_n(steps)
