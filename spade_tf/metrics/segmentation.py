"""Scores of how well a segmentation network recovers a label map from a picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

__all__ = [
    "SegmentationScores",
    "confusion_matrix",
    "mean_iou",
    "scores_of_counts",
    "segmentation_scores",
]


def confusion_matrix(labels: tf.Tensor, predictions: tf.Tensor, *, num_classes: int) -> tf.Tensor:
    """Counts pixels by true and by predicted class.

    Sum the matrices of batches and devices first, then compute scores from the sum: the mean of
    the IoUs of single pictures is another number.

    Args:
        labels: integers of any shape, true classes. A pixel with an id outside
            `0 … num_classes - 1`, such as that of unknown, is not counted.
        predictions: integers of the same shape, in `0 … num_classes - 1`.
        num_classes: int >= 1, C.

    Returns:
        int64 `[C, C]`; row: true class, column: predicted class.

    Raises:
        InvalidArgumentError: if a prediction for a counted pixel is out of range.
        ValueError: if the shapes are known and differ.

    Example:
        >>> confusion_matrix([0, 0, 1, 255], [0, 1, 1, 0], num_classes=2).numpy()
        array([[1, 1],
               [0, 1]])
    """
    labels, predictions = tf.cast(labels, tf.int64), tf.cast(predictions, tf.int64)
    labels.shape.assert_is_compatible_with(predictions.shape)
    counted = (labels >= 0) & (labels < num_classes)
    labels, predictions = labels[counted], predictions[counted]
    inside = tf.reduce_all((predictions >= 0) & (predictions < num_classes))
    message = f"predictions must be classes from 0 to {num_classes - 1}"
    with tf.control_dependencies([tf.debugging.Assert(inside, [message])]):
        cells = labels * num_classes + predictions
    counts = tf.math.bincount(
        cells, minlength=num_classes**2, maxlength=num_classes**2, dtype=tf.int64
    )
    return tf.reshape(counts, [num_classes, num_classes])


class SegmentationScores(NamedTuple):
    """Scores of a confusion matrix.

    Attributes:
        iou: float64 `[C]`, `TP / (TP + FP + FN)`; NaN for a class that is in no true and no
            predicted label map.
        class_accuracy: float64 `[C]`, `TP / (TP + FN)`; NaN for a class that is in no true map.
        mean_iou: float, mean of `iou` over the classes that are not NaN.
        mean_class_accuracy: float, mean of `class_accuracy` likewise.
        pixel_accuracy: float, correct pixels / counted pixels.

    Example:
        >>> from spade_tf.metrics import segmentation_scores
        >>> segmentation_scores([[3, 1], [0, 4]]).pixel_accuracy
        0.875
    """

    iou: np.ndarray
    class_accuracy: np.ndarray
    mean_iou: float
    mean_class_accuracy: float
    pixel_accuracy: float


def segmentation_scores(matrix: ArrayLike) -> SegmentationScores:
    """Computes scores from the confusion matrix of a whole data set.

    Args:
        matrix: `[C, C]` counts, row: true class, column: predicted class.

    Raises:
        ValueError: if it is not square, or counts no pixel.

    Example:
        >>> segmentation_scores([[3, 1], [0, 4]]).pixel_accuracy
        0.875

    Reference: Long et al. 2015, section 5, https://arxiv.org/abs/1411.4038; Park et al. 2019,
        section 4. Differs from some reports: a class without pixels gets NaN instead of 0.
    """
    counts = np.asarray(matrix, np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"matrix must be square; received shape {counts.shape}")
    if not counts.sum():
        raise ValueError("matrix counts no pixel: every label is unknown")
    return scores_of_counts(np.diag(counts), counts.sum(axis=1), counts.sum(axis=0))


def scores_of_counts(right: ArrayLike, true: ArrayLike, predicted: ArrayLike) -> SegmentationScores:
    """Scores of pixels counted by class.

    Args:
        right: `[C]`, pixels whose class was found.
        true: `[C]`, pixels of the class.
        predicted: `[C]`, pixels taken for the class.

    Returns:
        The scores; all NaN if there is no pixel.

    Example:
        >>> scores_of_counts([3, 4], [4, 4], [3, 5]).pixel_accuracy
        0.875
    """
    right, true, predicted = (np.asarray(each, np.float64) for each in (right, true, predicted))
    if not true.sum():
        nothing = np.full(true.shape, np.nan)
        return SegmentationScores(nothing, nothing, np.nan, np.nan, np.nan)
    iou = _divided(right, true + predicted - right)
    class_accuracy = _divided(right, true)
    return SegmentationScores(
        iou,
        class_accuracy,
        float(np.nanmean(iou)),
        float(np.nanmean(class_accuracy)),
        float(right.sum() / true.sum()),
    )


def mean_iou(matrix: ArrayLike) -> float:
    """Mean over classes of intersection over union; see `segmentation_scores`.

    Args:
        matrix: `[C, C]` counts, row: true class, column: predicted class.

    Example:
        >>> mean_iou([[3, 1], [0, 4]])
        0.775
    """
    return segmentation_scores(matrix).mean_iou


def _divided(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(
        numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0
    )
