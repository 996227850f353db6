"""Parameter-free normalisations: `(x - mean) / sqrt(variance + epsilon)`.

They differ in what the mean and variance are taken over. Statistics are float32 whatever the
compute dtype, since half precision loses the small differences that they are made of. Scale and
shift are left to the layer that follows, which is what SPADE is about.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import keras
import tensorflow as tf

from spade_tf.layers.state import statistics_held

_MOST_GROUPS = 32


class _Normalization(keras.layers.Layer):
    """Normalises by whatever `statistics` returns."""

    def __init__(self, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        if epsilon <= 0:
            raise ValueError(f"epsilon must be > 0: received {epsilon}")
        self.epsilon = epsilon

    def statistics(self, x, training=False):
        """Mean and variance of float32 `x`, broadcastable to it."""
        raise NotImplementedError

    def call(self, x, training=False):
        x = tf.cast(x, tf.float32)
        mean, variance = self.statistics(x, training=training)
        return tf.cast((x - mean) * tf.math.rsqrt(variance + self.epsilon), self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return x_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("spade_tf")
class BatchNorm(_Normalization):
    """Batch normalisation without scale and shift, synchronised across replicas.

    In training, statistics are those of the global batch, and running averages move towards
    them: `running = momentum * running + (1 - momentum) * batch`. At inference, the running
    averages are used.

    Args:
        momentum: float in [0, 1], or None for the plain average of all batches since
            `num_batches` was zero. Default 0.9 (0.1 in PyTorch's sense).
        synchronized: bool, whether statistics are taken over all replicas. Default True.
        epsilon: float > 0. Default 1e-5.

    Call arguments:
        x: `[B, H, W, C]`.
        training: bool.

    Returns:
        `[B, H, W, C]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown.

    Reference: Ioffe & Szegedy 2015; Park et al. 2019, section 4 (synchronised). The running
        variance is the unbiased one, as in PyTorch; Keras's is biased.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import BatchNorm
        >>> x = np.float32([1.0, 3.0]).reshape(2, 1, 1, 1)
        >>> BatchNorm()(x, training=True).numpy().ravel().round(3).tolist()
        [-1.0, 1.0]
    """

    def __init__(
        self,
        momentum: float | None = 0.9,
        synchronized: bool = True,
        epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(epsilon=epsilon, **kwargs)
        if momentum is not None and not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be in [0, 1]: received {momentum}")
        self.momentum = momentum
        self.synchronized = synchronized

    def build(self, x_shape):
        channels = x_shape[-1]
        if channels is None:
            raise ValueError(f"BatchNorm needs a known number of channels: received {x_shape}")
        # Synchronised statistics are the same on every replica, others are averaged.
        aggregation = "only_first_replica" if self.synchronized else "mean"
        self.moving_mean = self.add_weight(
            shape=(channels,),
            initializer="zeros",
            trainable=False,
            dtype="float32",
            autocast=False,
            aggregation=aggregation,
            name="moving_mean",
        )
        self.moving_variance = self.add_weight(
            shape=(channels,),
            initializer="ones",
            trainable=False,
            dtype="float32",
            autocast=False,
            aggregation=aggregation,
            name="moving_variance",
        )
        self.num_batches = self.add_weight(
            shape=(),
            initializer="zeros",
            trainable=False,
            dtype="int64",
            aggregation="only_first_replica",
            name="num_batches",
        )

    def call(self, x, training=False):
        replicas = tf.distribute.get_replica_context()
        several = replicas is not None and replicas.num_replicas_in_sync > 1
        if not training or (self.synchronized and several):
            return super().call(x, training=training)
        # The same in one operation, and its gradient in another: less than half the time.
        ones = tf.ones([x.shape[-1]])
        normalized, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
            x=tf.cast(x, tf.float32),
            scale=ones,
            offset=tf.zeros_like(ones),
            mean=(),
            variance=(),
            epsilon=self.epsilon,
        )
        if not statistics_held():
            self._update(mean, unbiased)
        return tf.cast(normalized, self.compute_dtype)

    def statistics(self, x, training=False):
        if not training:
            return tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(
                self.moving_variance
            )
        # Of all replicas. They hold equally large batches, so that means of means are means.
        replicas = tf.distribute.get_replica_context()
        local_mean, local_variance = tf.nn.moments(x, axes=[0, 1, 2])
        mean = replicas.all_reduce(tf.distribute.ReduceOp.MEAN, local_mean)
        variance = replicas.all_reduce(
            tf.distribute.ReduceOp.MEAN, local_variance + tf.square(local_mean - mean)
        )
        if not statistics_held():
            count = tf.size(x) // x.shape[-1] * replicas.num_replicas_in_sync
            count = tf.cast(count, tf.float32)
            self._update(mean, variance * (count / tf.maximum(count - 1.0, 1.0)))
        return mean, variance

    def _update(self, mean, variance):
        momentum = self.momentum
        if momentum is None:
            batches = tf.cast(tf.convert_to_tensor(self.num_batches), tf.float32)
            momentum = batches / (batches + 1.0)
        for running, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            running.assign(momentum * running + (1.0 - momentum) * batch)
        self.num_batches.assign_add(1)

    def get_config(self):
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "synchronized": self.synchronized,
        }


@keras.saving.register_keras_serializable("spade_tf")
class InstanceNorm(_Normalization):
    """Instance normalisation: statistics over height and width, per example and channel.

    Args:
        epsilon: float > 0. Default 1e-5.

    Call arguments:
        x: `[B, H, W, C]`.

    Returns:
        `[B, H, W, C]`, in the compute dtype.

    Reference: Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import InstanceNorm
        >>> x = np.float32([1.0, 3.0]).reshape(1, 1, 2, 1).repeat(2, 3)
        >>> InstanceNorm()(x).numpy()[0, 0, :, 0].round(3).tolist()
        [-1.0, 1.0]
    """

    def statistics(self, x, training=False):
        # By hand rather than by keras.layers.GroupNormalization, whose five dimensions edge GPUs
        # refuse.
        return _moments(x, [1, 2])


@keras.saving.register_keras_serializable("spade_tf")
class LayerNorm(_Normalization):
    """Layer normalisation: statistics over height, width and channels, per example.

    Args:
        epsilon: float > 0. Default 1e-5.

    Call arguments:
        x: `[B, H, W, C]`.

    Returns:
        `[B, H, W, C]`, in the compute dtype.

    Reference: Ba et al. 2016, https://arxiv.org/abs/1607.06450.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import LayerNorm
        >>> x = np.float32([1.0, 3.0]).reshape(1, 1, 2, 1).repeat(2, 3)
        >>> LayerNorm()(x).numpy()[0, 0, :, 0].round(3).tolist()
        [-1.0, 1.0]
    """

    def statistics(self, x, training=False):
        return _moments(x, [1, 2, 3])


@keras.saving.register_keras_serializable("spade_tf")
class GroupNorm(_Normalization):
    """Group normalisation: statistics over height, width and a group of channels, per example.

    Args:
        groups: int >= 1, which must divide the channels. None, the default, for 32, or where 32
            does not divide them, for the greatest common divisor of both: 16 for 16 channels.
        epsilon: float > 0. Default 1e-5.

    Call arguments:
        x: `[B, H, W, C]`.

    Returns:
        `[B, H, W, C]`, in the compute dtype.

    Raises:
        ValueError: if `groups` does not divide `C`.

    Reference: Wu & He 2018, https://arxiv.org/abs/1803.08494.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import GroupNorm
        >>> x = np.float32([1.0, 3.0]).reshape(1, 1, 2, 1).repeat(2, 3)
        >>> GroupNorm(groups=2)(x).numpy()[0, 0, :, 0].round(3).tolist()
        [-1.0, 1.0]
    """

    def __init__(self, groups: int | None = None, epsilon: float = 1e-5, **kwargs):
        super().__init__(epsilon=epsilon, **kwargs)
        if groups is not None and groups < 1:
            raise ValueError(f"groups must be >= 1: received {groups}")
        self.groups = groups

    def build(self, x_shape):
        channels = x_shape[-1]
        if channels is None or (self.groups is not None and channels % self.groups):
            raise ValueError(
                f"groups must divide the channels: received groups={self.groups} for {x_shape}"
            )

    def statistics(self, x, training=False):
        # Channel statistics first, then groups of them: no five-dimensional tensor.
        channels = x.shape[-1]
        size = channels // (self.groups or math.gcd(_MOST_GROUPS, channels))
        channel_mean, channel_variance = _moments(x, [1, 2])
        mean = self._over_groups(channel_mean, size)
        variance = self._over_groups(channel_variance + tf.square(channel_mean - mean), size)
        return mean, variance

    def _over_groups(self, statistic, size):
        grouped = tf.reshape(statistic, [-1, 1, statistic.shape[-1] // size, size])
        averaged = tf.reduce_mean(grouped, -1, keepdims=True)
        return tf.reshape(tf.repeat(averaged, size, axis=-1), tf.shape(statistic))

    def get_config(self):
        return {**super().get_config(), "groups": self.groups}


def _moments(x, axes):
    mean = tf.reduce_mean(x, axes, keepdims=True)
    return mean, tf.reduce_mean(tf.square(x - mean), axes, keepdims=True)


def get_normalization(norm: str | keras.layers.Layer, **kwargs) -> keras.layers.Layer:
    """A parameter-free normalisation by its name.

    Args:
        norm: "batch" (synchronised), "local_batch" (not synchronised), "instance", "layer",
            "group", or "none" (the input itself); or a layer, returned as it is.
        **kwargs: to the layer's constructor.

    Returns:
        A Keras layer.

    Raises:
        ValueError: if there is no such normalisation.
    """
    if isinstance(norm, keras.layers.Layer):
        return norm
    classes: dict[str, Callable[..., keras.layers.Layer]] = {
        "batch": BatchNorm,
        "local_batch": partial(BatchNorm, synchronized=False),
        "instance": InstanceNorm,
        "layer": LayerNorm,
        "group": GroupNorm,
        "none": keras.layers.Identity,
    }
    if norm not in classes:
        raise ValueError(f"norm must be one of {', '.join(classes)}: received {norm!r}")
    return classes[norm](**kwargs)
