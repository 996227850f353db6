"""Convolution and dense layers under spectral normalisation."""

from __future__ import annotations

import functools

import keras
import numpy as np
import tensorflow as tf

from spade_tf.layers.convolution import convolve
from spade_tf.layers.initialization import xavier_normal
from spade_tf.layers.state import singular_vectors_held

# At build. The estimate of sigma is then 3 % too small for most kernels, and less
# than 10 % for all. Training goes on from there by one iteration a step.
_INITIAL_ITERATIONS = 12


def _power_iterations(matrix, u, epsilon):
    for _ in range(_INITIAL_ITERATIONS):
        v = matrix @ u
        v /= max(np.linalg.norm(v), epsilon)
        u = v @ matrix
        u /= max(np.linalg.norm(u), epsilon)
    return u, v


@tf.custom_gradient
def _over_sigma(kernel, sigma, u, v):
    """`Y = W / sigma`, `sigma = v' W u`, for u `[filters, 1]` and v `[inputs, 1]` that are held.

    The gradient is that of the quotient, `(dY - <dY, Y> v u') / sigma`, in a third of the
    operations that TensorFlow derives.
    """

    def gradient(dy):
        # Made anew from the kernel, so that gradients of gradients are right, too.
        matrix = tf.reshape(kernel, [-1, u.shape[0]])
        held = tf.matmul(v, tf.matmul(matrix, u), transpose_a=True)
        inner = tf.reduce_sum(dy * kernel) / held
        outer = tf.reshape(tf.matmul(inner * v, u, transpose_b=True), kernel.shape)
        return (dy - outer) / held, None, None, None

    return kernel / sigma, gradient


class _SpectralLayer(keras.layers.Layer):
    """Keeps the raw kernel, and divides it by an estimate of its largest singular value.

    With the kernel as a matrix W of `[inputs, filters]`, each training call makes one power
    iteration, `v = W u / |W u|`, `u = W' v / |W' v|`, and `sigma = v' W u`. No gradient flows
    through u and v.
    """

    def __init__(self, filters: int, use_bias: bool = True, epsilon: float = 1e-12, **kwargs):
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"filters must be >= 1: received {filters}")
        self.filters = filters
        self.use_bias = use_bias
        self.epsilon = epsilon

    def _build_weights(self, kernel_shape):
        # The kernel stays float32 under mixed precision: sigma is computed from it.
        self.kernel = self.add_weight(
            shape=kernel_shape, initializer=xavier_normal(), autocast=False, name="kernel"
        )
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        inputs = 1
        for size in kernel_shape[:-1]:
            inputs *= size
        made = functools.cache(self._initial_singular_vectors)
        self.u = self._singular_vector(self.filters, "u", lambda *_, **__: made()[0])
        self.v = self._singular_vector(inputs, "v", lambda *_, **__: made()[1])

    def _singular_vector(self, size, name, initializer):
        return self.add_weight(
            shape=(size,),
            # As an initial value, which a strategy gives to all replicas and workers alike.
            initializer=initializer,
            trainable=False,
            dtype="float32",
            autocast=False,
            # All replicas iterate on the same kernel, and so to the same vector.
            aggregation="only_first_replica",
            name=name,
        )

    def _initial_singular_vectors(self):
        matrix = tf.reshape(tf.cast(self.kernel, tf.float32), [-1, self.filters])
        u = keras.initializers.RandomNormal()((self.filters,), "float32")
        # In NumPy: TensorFlow takes longer to start each of these operations than to compute it,
        # and networks have dozens of such layers.
        iterate = functools.partial(_power_iterations, epsilon=self.epsilon)
        u, v = tf.numpy_function(iterate, [matrix, u], [tf.float32, tf.float32])
        return tf.ensure_shape(u, [self.filters]), tf.ensure_shape(v, [matrix.shape[0]])

    def normalized_kernel(self, training=False):
        """The kernel divided by sigma, in the compute dtype; moves u and v when training."""
        kernel = tf.convert_to_tensor(self.kernel)
        matrix = tf.stop_gradient(tf.reshape(kernel, [-1, self.filters]))
        u, v = (tf.reshape(tf.convert_to_tensor(each), [-1, 1]) for each in (self.u, self.v))
        iterates = training and not singular_vectors_held()
        if iterates:
            v = self._normalize(tf.matmul(matrix, u))
        # The longer of the two sums first: the other order loses a digit on large kernels.
        projected = tf.matmul(matrix, v, transpose_a=True)
        if iterates:
            u = self._normalize(projected)
            self.u.assign(tf.reshape(u, [-1]))
            self.v.assign(tf.reshape(v, [-1]))
        sigma = tf.matmul(u, projected, transpose_a=True)
        return tf.cast(_over_sigma(kernel, sigma, u, v), self.compute_dtype)

    def plain_weights(self) -> list[np.ndarray]:
        """The weights of a layer of Keras that does the same, in its order."""
        weights = [self.normalized_kernel(), *([self.bias] if self.use_bias else [])]
        return [np.asarray(weight, "float32") for weight in weights]

    def _normalize(self, vector):
        return vector / tf.maximum(tf.sqrt(2.0 * tf.nn.l2_loss(vector)), self.epsilon)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "use_bias": self.use_bias,
            "epsilon": self.epsilon,
        }


@keras.saving.register_keras_serializable("spade_tf")
class SpectralConv2D(_SpectralLayer):
    """2-D convolution whose kernel is divided by its spectral norm.

    Args:
        filters: int >= 1, output channels.
        kernel_size: int >= 1, of a square kernel.
        strides: int >= 1. Default 1.
        padding: "same" or "valid". Default "same". On even kernels or strides "same" is
            one-sided in TensorFlow: pad by hand and use "valid" to match PyTorch.
        use_bias: bool. Default True.
        epsilon: float > 0, smallest norm of a singular vector. Default 1e-12.

    Call arguments:
        x: `[B, H, W, C]`.
        training: bool, whether to make a power iteration.

    Returns:
        `[B, H', W', filters]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown.

    Reference: Miyato et al. 2018, https://arxiv.org/abs/1802.05957. Differs from
        `keras.layers.SpectralNormalization`: the raw kernel is what is trained and stored, and u
        and v are both kept, so that inference repeats the last sigma of training.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import SpectralConv2D
        >>> tuple(SpectralConv2D(6, 3)(np.ones((1, 4, 4, 2), "float32")).shape)
        (1, 4, 4, 6)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        padding: str = "same",
        use_bias: bool = True,
        epsilon: float = 1e-12,
        **kwargs,
    ):
        super().__init__(filters, use_bias=use_bias, epsilon=epsilon, **kwargs)
        if padding not in ("same", "valid"):
            raise ValueError(f"padding must be 'same' or 'valid': received {padding!r}")
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding

    def build(self, x_shape):
        if x_shape[-1] is None:
            raise ValueError(f"SpectralConv2D needs a known number of channels: received {x_shape}")
        self._build_weights((self.kernel_size, self.kernel_size, x_shape[-1], self.filters))

    def call(self, x, training=False):
        kernel = self.normalized_kernel(training=training)
        if training:
            x = convolve(x, kernel, self.strides, self.padding)
        else:
            x = tf.nn.conv2d(x, kernel, self.strides, self.padding.upper())
        return tf.nn.bias_add(x, self.bias) if self.use_bias else x

    def compute_output_shape(self, x_shape):
        lost = 0 if self.padding == "same" else self.kernel_size - 1
        sizes = (n if n is None else -((lost - n) // self.strides) for n in x_shape[1:3])
        return (x_shape[0], *sizes, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
        }


@keras.saving.register_keras_serializable("spade_tf")
class SpectralDense(_SpectralLayer):
    """Dense layer whose kernel is divided by its spectral norm.

    Args:
        filters: int >= 1, output features.
        use_bias: bool. Default True.
        epsilon: float > 0, smallest norm of a singular vector. Default 1e-12.

    Call arguments:
        x: `[B, C]`.
        training: bool, whether to make a power iteration.

    Returns:
        `[B, filters]`, in the compute dtype.

    Raises:
        ValueError: if `C` is unknown.

    Reference: Miyato et al. 2018, https://arxiv.org/abs/1802.05957.

    Example:
        >>> import numpy as np
        >>> from spade_tf.layers import SpectralDense
        >>> tuple(SpectralDense(6)(np.ones((1, 4), "float32")).shape)
        (1, 6)
    """

    def build(self, x_shape):
        if x_shape[-1] is None:
            raise ValueError(f"SpectralDense needs a known number of features: received {x_shape}")
        self._build_weights((x_shape[-1], self.filters))

    def call(self, x, training=False):
        x = tf.matmul(x, self.normalized_kernel(training=training))
        return tf.nn.bias_add(x, self.bias) if self.use_bias else x

    def compute_output_shape(self, x_shape):
        return (*x_shape[:-1], self.filters)
