"""LPIPS: how different two pictures look, by the features of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

__all__ = ["LPIPS"]

_EPSILON = 1e-10


class LPIPS:
    """Learned perceptual image patch similarity, version 0.1.

    Feature maps of both pictures are divided by their length over the channels at each pixel; the
    squared difference, weighted per channel by a learned head, is averaged over the pixels and
    summed over the layers. 0 for equal pictures; pictures of different content have about 0.7.

    Args:
        network: gives a list of feature maps `[B, h, w, C]` of pictures `[B, H, W, 3]` in [-1, 1].
        heads: an array `[C]` of weights >= 0 for each of those maps.

    Call arguments:
        a: `[B, H, W, 3]` pictures in [-1, 1].
        b: likewise.

    Returns:
        float32 `[B]`, a distance for each pair.

    Raises:
        ValueError: if there are not as many heads as maps.

    Reference: Zhang et al. 2018, Eq. 1, https://arxiv.org/abs/1801.03924. Trained heads:
        `spade_tf.convert.lpips.load_lpips`.
    """

    def __init__(self, network: Callable[[Any], list[Any]], heads: Sequence[Any]):
        self.network = network
        self.heads = [ops.convert_to_tensor(head) for head in heads]

    def __call__(self, a: Any, b: Any) -> Any:
        """Computes the distances."""
        # One pass over both: the network is run once, on twice the batch.
        maps = self.network(ops.concatenate([a, b]))
        if len(maps) != len(self.heads):
            raise ValueError(f"heads must be as many as maps; received {len(self.heads)}")
        return sum(map(_distance, maps, self.heads))


def _distance(features: Any, head: Any) -> Any:
    length = ops.sqrt(ops.sum(ops.square(features), axis=-1, keepdims=True))
    first, second = ops.split(features / (length + _EPSILON), 2)
    return ops.mean(ops.square(first - second) @ ops.reshape(head, [-1, 1]), axis=(1, 2, 3))
