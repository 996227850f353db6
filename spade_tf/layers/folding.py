"""Batch statistics folded into the weights that follow them, for inference.

At inference, `(x - mean) / std * (1 + gamma) + beta` is `x * scale + shift`, with
`scale = (1 + gamma) / std` and `shift = beta - mean * scale`. Gamma and beta are affine in what
they are computed from, and so are scale and shift: with other weights, the same layer gives
`scale - 1` and `shift`, and has nothing to normalise.
"""

from __future__ import annotations

import keras
import numpy as np

from spade_tf.layers.normalization import BatchNorm


class FoldsStatistics:
    """A layer with a `normalization`, whose weights can take up its batch statistics."""

    normalization: keras.layers.Layer

    def fold_statistics(self, num_labels: int | None = None) -> None:
        """Changes the weights so that the layer gives the same without batch normalisation.

        Other normalisations use the statistics of the picture at hand, and stay.

        Args:
            num_labels: label ids, if every pixel has one; None for continuous maps.
        """
        norm = self.normalization
        if not isinstance(norm, BatchNorm):
            return
        mean = np.asarray(norm.moving_mean, "float64")
        inverse = 1.0 / np.sqrt(np.asarray(norm.moving_variance, "float64") + norm.epsilon)
        if self._fold(mean, inverse, num_labels):
            self.normalization = _unchanged

    def scale(self, factors: np.ndarray, num_labels: int | None = None) -> bool:
        """Changes the weights so that the layer gives `factors` times as much.

        Args:
            factors: `[C]`, one for each channel.
            num_labels: label ids, if every pixel has one; None for continuous maps.

        Returns:
            Whether it could. It leaves the weights alone where it could not.
        """
        return False

    def _fold(self, mean: np.ndarray, inverse: np.ndarray, num_labels: int | None) -> bool:
        """Whether it could change its weights; `inverse` is one over the standard deviation."""
        raise NotImplementedError


def fold_affine(
    gamma: keras.layers.Layer, beta: keras.layers.Layer, mean: np.ndarray, inverse: np.ndarray
) -> bool:
    """Folds statistics into two convolutions or dense layers with biases.

    Args:
        gamma: gives `1 + gamma` less one.
        beta: gives beta.
        mean: `[C]`.
        inverse: `[C]`, one over the standard deviation.

    Returns:
        True.
    """
    scale = np.asarray(gamma.kernel, "float64") * inverse
    scale_bias = (1.0 + np.asarray(gamma.bias, "float64")) * inverse
    beta.kernel.assign(np.asarray(beta.kernel, "float64") - mean * scale)
    beta.bias.assign(np.asarray(beta.bias, "float64") - mean * scale_bias)
    gamma.kernel.assign(scale)
    gamma.bias.assign(scale_bias - 1.0)
    return True


def scale_affine(gamma: keras.layers.Layer, beta: keras.layers.Layer, factors: np.ndarray) -> bool:
    """Makes `x (1 + gamma) + beta` larger by factors.

    Args:
        gamma: a convolution or dense layer with a bias, that gives gamma.
        beta: likewise.
        factors: `[C]`.

    Returns:
        True.
    """
    gamma.bias.assign((1.0 + np.asarray(gamma.bias, "float64")) * factors - 1.0)
    for weight in (gamma.kernel, beta.kernel, beta.bias):
        weight.assign(np.asarray(weight, "float64") * factors)
    return True


def fold_table(
    gamma: keras.Variable,
    beta: keras.Variable,
    mean: np.ndarray,
    inverse: np.ndarray,
    num_labels: int | None,
) -> bool:
    """Folds statistics into two tables with a row per label, and one for edges if used.

    Args:
        gamma: `[rows, C]`.
        beta: `[rows, C]`.
        mean: `[C]`.
        inverse: `[C]`, one over the standard deviation.
        num_labels: label ids, if every pixel has one.

    Returns:
        Whether `num_labels` is given. Tables of continuous maps have no row that always counts,
        which would take up what a bias does.
    """
    if num_labels is None:
        return False
    one = _bias_of_one(gamma, num_labels)
    scale = (one + np.asarray(gamma, "float64")) * inverse
    beta.assign(np.asarray(beta, "float64") - mean * scale)
    gamma.assign(scale - one)
    return True


def scale_table(
    gamma: keras.Variable, beta: keras.Variable, factors: np.ndarray, num_labels: int | None
) -> bool:
    """Makes `x (1 + gamma) + beta` larger by factors, for the tables of `fold_table`.

    Args:
        gamma: `[rows, C]`.
        beta: `[rows, C]`.
        factors: `[C]`.
        num_labels: label ids, if every pixel has one.

    Returns:
        Whether `num_labels` is given.
    """
    if num_labels is None:
        return False
    one = _bias_of_one(gamma, num_labels)
    gamma.assign((one + np.asarray(gamma, "float64")) * factors - one)
    beta.assign(np.asarray(beta, "float64") * factors)
    return True


def _bias_of_one(table, num_labels):
    """One in the rows of labels: the shares of labels sum to one, so this is a bias of one."""
    one = np.zeros((table.shape[0], 1))
    one[:num_labels] = 1.0
    return one


def _unchanged(x, training=False):
    return x
