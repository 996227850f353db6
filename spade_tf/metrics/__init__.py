"""Metrics of picture quality: distances of features, perceptual distance, segmentation scores."""

from spade_tf.metrics.frechet import FeatureStatistics, frechet_distance
from spade_tf.metrics.intervals import bootstrap_interval
from spade_tf.metrics.kernel import kernel_distance
from spade_tf.metrics.lpips import LPIPS
from spade_tf.metrics.segmentation import (
    SegmentationScores,
    confusion_matrix,
    mean_iou,
    scores_of_counts,
    segmentation_scores,
)
from spade_tf.metrics.steps import PictureSteps, border_ratio, grid_ratio, picture_steps

__all__ = [
    "LPIPS",
    "FeatureStatistics",
    "PictureSteps",
    "SegmentationScores",
    "bootstrap_interval",
    "border_ratio",
    "confusion_matrix",
    "frechet_distance",
    "grid_ratio",
    "kernel_distance",
    "mean_iou",
    "picture_steps",
    "scores_of_counts",
    "segmentation_scores",
]
