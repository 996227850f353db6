"""Networks that look at pictures: features, perceptual distance, segmentation."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from experiments.commands.evaluate.options import JudgedBy
from experiments.setup.config import ConfigError
from experiments.setup.feature_networks import (
    FeatureNetwork,
    content_hash,
    load_feature_network,
    load_inception_network,
)
from experiments.setup.layouts import differing_classes
from pipelines.schema import LabelSet
from spade_tf.metrics.lpips import LPIPS


class Segmenter(NamedTuple):
    """A segmentation network.

    Attributes:
        name: where it was loaded from.
        class_names: of the ids that it predicts.
        weights: SHA-256 of the weights' bytes.
        predict: from float32 `[B, H, W, 3]` in [-1, 1] to int `[B, H, W]` ids.
        size: height and width in pixels that pictures are scaled to first.
    """

    name: str
    class_names: tuple[str, ...]
    weights: str
    predict: Callable[[tf.Tensor], tf.Tensor]
    size: tuple[int, ...] = ()


def check_segmenter(workdir: str | os.PathLike[str], labels: LabelSet) -> None:
    """Raises a ConfigError unless a segmenter knows just the classes of the data.

    Args:
        workdir: of a finished `segment`.
        labels: label set of the data.
    """
    from experiments.setup.segmenter_network import read_description

    names = read_description(workdir)["labels"]["class_names"]
    if labels.condition_channels:
        raise ConfigError(f"--segmenter={workdir}: the data has continuous maps, and no classes")
    found = differing_classes(names, labels.class_names)
    if found:
        raise ConfigError(
            f"--segmenter={workdir}: the segmenter has {found[0]}, and the data set "
            f"{found[1]}; give one that was trained on this data set's classes"
        )


class Judges(NamedTuple):
    """What looks at the pictures.

    Attributes:
        features: networks whose features are compared.
        lpips: perceptual distance, or None.
        segmenter: finds classes in pictures, or None.
    """

    features: tuple[FeatureNetwork, ...]
    lpips: LPIPS | None
    segmenter: Segmenter | None


def load_judges(judged_by: JudgedBy, labels: LabelSet) -> Judges:
    """Loads what is to look at the pictures; call it within the strategy's scope.

    Args:
        judged_by: which networks.
        labels: label set of the data.

    Raises:
        ConfigError: if weights are not there, or the segmenter knows other classes.
    """
    weights, segmenter = judged_by.inception_weights, judged_by.segmenter
    if segmenter is not None:
        # Before any network is loaded, which takes seconds.
        check_segmenter(segmenter, labels)
    distance = None
    if judged_by.lpips:
        from spade_tf.convert.errors import WeightsError
        from spade_tf.convert.lpips import load_lpips

        try:
            distance = load_lpips("alexnet")
        except WeightsError as error:
            raise ConfigError(f"{error}; or leave it out with --lpips=False") from error
    return Judges(
        tuple(
            load_inception_network(weights)
            if name == "inception" and weights is not None
            else load_feature_network(name)
            for name in judged_by.features
        ),
        distance,
        None if segmenter is None else _load_segmenter(segmenter),
    )


def _load_segmenter(workdir: str | os.PathLike[str]) -> Segmenter:
    from experiments.setup.segmenter_network import load_network

    network, content = load_network(workdir)
    names = tuple(content["labels"]["class_names"])
    size = tuple(content["image_size"])

    def predict(image: tf.Tensor) -> tf.Tensor:
        height_and_width = tf.shape(image)[1:3]
        logits = network(tf.image.resize(image, size, "bilinear", antialias=True), training=False)
        return tf.argmax(tf.image.resize(logits, height_and_width, "bilinear"), -1)

    return Segmenter(str(workdir), names, content_hash(network), predict, size)
