"""Noise that generators make grain from."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from spade_tf.layers.resizing import crop
from spade_tf.layers.symbolic import TracesSymbolicCalls


@keras.saving.register_keras_serializable("spade_tf")
class NoiseInput(TracesSymbolicCalls, keras.layers.Layer):
    """Fixed noise that features are given: `x + strength * noise`.

    A region of one class is even in the label map, and stays even in all features if upsampling
    is smooth. Noise gives convolutions something to make grain from: grass, waves, stones. Each
    channel learns how much of it to take, from 0 on.

    Args:
        size: `(height, width)` of the noise in pixels. Larger features see it repeated, smaller
            ones see its upper left corner.
        seed: int in [0, 2^32), of the noise.

    Call arguments:
        x: `[B, H, W, C]`.

    Returns:
        `[B, H, W, C]`.

    Reference: Karras et al. 2019 (StyleGAN), section 2, figure 1b. Differs in that the noise is the
        same at all times, in training too: pictures are a function of map and style alone, a
        training does not depend on how devices share a batch, and exports need no random numbers.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import NoiseInput
        >>> layer = NoiseInput((4, 4), seed=0)
        >>> x = np.ones((1, 4, 4, 2), "float32")
        >>> bool((layer(x).numpy() == x).all())  # Before it is trained.
        True
    """

    def __init__(self, size: Sequence[int], seed: int, **kwargs):
        super().__init__(**kwargs)
        self.size = (size[0], size[1])
        self.seed = seed
        # The numbers of this older generator are promised to stay what they are.
        numbers = np.random.RandomState(seed).standard_normal(self.size)
        self.noise = numbers.astype("float32")[None, :, :, None]
        self.at_run_time = False

    def build(self, shape):
        if not self.built:
            self.strength = self.add_weight(
                shape=(shape[-1],), initializer="zeros", name="strength"
            )

    def multiply_at_run_time(self):
        """Keeps converters from storing `strength * noise`, which is as large as the features."""
        self.at_run_time = True

    def call(self, x):
        strength = tf.convert_to_tensor(self.strength)
        if self.at_run_time:
            # A factor that is 1 in every precision, of operations that GPUs take. No converter
            # knows that it does not depend on x.
            strength *= tf.tanh(x[:1, :1, :1, :1] ** 2 + 20.0)
        return add_noise(x, strength, self.noise)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "size": self.size, "seed": self.seed}


def add_noise(
    x: tf.Tensor, strength: tf.Tensor, noise: np.ndarray, corner: tf.Tensor | None = None
) -> tf.Tensor:
    """`x + strength * noise`.

    Args:
        x: `[B, H, W, C]`.
        strength: `[C]` or `[1, 1, 1, C]`.
        noise: float32 `[1, h, w, 1]`, repeated where x is larger.
        corner: int32 `[2]`, the row and column in the noise at which x begins; None for 0, 0.
    """
    here = tf.constant(noise, x.dtype)
    if corner is not None or x.shape[1:3] != noise.shape[1:3]:
        first = tf.zeros(2, tf.int32) if corner is None else corner
        last = first + tf.shape(x)[1:3]
        times = -(-last // noise.shape[1:3])
        here = crop(tf.tile(here, [1, times[0], times[1], 1]), tf.stack([first, last]))
    return x + tf.cast(strength, x.dtype) * here
