"""The weights of the Inception network of 2015, from the file that FID is computed with."""

from __future__ import annotations

import hashlib
import os

import numpy as np

from spade_tf.convert.errors import WeightsError
from spade_tf.convert.torch_convolutions import folded_convolution, read_tensors
from spade_tf.networks.inception import InceptionFeatures

# The classifier of the network of 2015. torchvision's Inception has 1000 classes.
_CLASSIFIER, _CLASSES = "fc.weight", 1008
# The published file is named after the beginning of its SHA-256: pt_inception-2015-12-05-6726825d.
_PUBLISHED = "6726825d"


def load_inception(weights: str | os.PathLike[str]) -> InceptionFeatures:
    """Makes an `InceptionFeatures` with the weights of a file.

    Args:
        weights: `pt_inception-2015-12-05-6726825d.pth`, a PyTorch state dict, or one of the same
            tensors. No package holds it.

    Returns:
        The network, built.

    Raises:
        WeightsError: in one line, if the file cannot be read, or is another network's.

    Example:
        >>> from spade_tf.convert import load_inception
        >>> network = load_inception()  # doctest: +SKIP
    """
    path = os.fspath(weights)
    tensors = read_tensors(path)
    classifier = tensors.get(_CLASSIFIER)
    if classifier is None or classifier.shape[0] != _CLASSES:
        has = "none" if classifier is None else f"one of {classifier.shape[0]}"
        raise WeightsError(
            f"{path}: FID's network has a classifier of {_CLASSES} classes, and this file has "
            f"{has}; give pt_inception-2015-12-05-{_PUBLISHED}.pth"
        )
    network = InceptionFeatures()
    network.build((None, None, None, 3))
    shapes = iter([tuple(variable.shape) for variable in network.variables])
    arrays: list[np.ndarray] = []
    for name in network.conv_names:
        shape = next(shapes)
        arrays += folded_convolution(tensors, f"{name}.conv", f"{name}.bn", shape, path)
        next(shapes)
    network.set_weights(arrays)
    return network


def is_published(weights: str | os.PathLike[str]) -> bool:
    """Whether a file is, byte for byte, the one whose distance is called FID.

    Args:
        weights: the file.
    """
    with open(weights, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(_PUBLISHED)
