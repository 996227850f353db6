"""LPIPS: how different two pictures look, measured with the features of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

__all__ = ["LPIPS"]

_EPSILON = 1e-10


class LPIPS:
    """Learned perceptual image patch similarity, version 0.1.

    At each pixel, feature maps of both pictures are divided by their length over the channels.
    Their squared difference is weighted per channel by a learned head, averaged over pixels and
    summed over layers. Equal pictures have 0; pictures of different content have about 0.7.

    Args:
        network: function from pictures `[B, H, W, 3]` in [-1, 1] to a list of feature maps
            `[B, h, w, C]`.
        heads: one array `[C]` of weights >= 0 per feature map.

    Call arguments:
        a: `[B, H, W, 3]` pictures in [-1, 1].
        b: likewise.

    Returns:
        float32 `[B]`, a distance for each pair.

    Raises:
        ValueError: if the numbers of heads and maps differ.

    Reference: Zhang et al. 2018, Eq. 1, https://arxiv.org/abs/1801.03924. Trained heads:
        `spade_tf.convert.lpips.load_lpips`.

    Example:
        >>> import numpy as np
        >>> from spade_tf.metrics import LPIPS
        >>> lpips = LPIPS(lambda image: [image], heads=[np.float32([1, 1, 1])])
        >>> a, b = np.float32([[[[1, 0, 0]]]]), np.float32([[[[0, 1, 0]]]])
        >>> lpips(a, a).numpy().round(3).tolist(), lpips(a, b).numpy().round(3).tolist()
        ([0.0], [2.0])
    """

    def __init__(self, network: Callable[[Any], list[Any]], heads: Sequence[Any]):
        self.network = network
        self.heads = [ops.convert_to_tensor(head) for head in heads]

    def __call__(self, a: Any, b: Any) -> Any:
        """Computes the distances."""
        # The network runs once, on both batches together.
        maps = self.network(ops.concatenate([a, b]))
        if len(maps) != len(self.heads):
            raise ValueError(
                f"there must be one head per feature map: received {len(self.heads)} heads for "
                f"{len(maps)} maps"
            )
        return sum(map(_distance, maps, self.heads))


def _distance(features: Any, head: Any) -> Any:
    length = ops.sqrt(ops.sum(ops.square(features), axis=-1, keepdims=True))
    first, second = ops.split(features / (length + _EPSILON), 2)
    return ops.mean(ops.square(first - second) @ ops.reshape(head, [-1, 1]), axis=(1, 2, 3))
