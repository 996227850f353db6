"""Distances between the features of generated and real pictures, during training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from spade_tf.layers.state import hold_state
from spade_tf.metrics.frechet import frechet_distance
from spade_tf.metrics.kernel import kernel_distance
from spade_tf.networks.styles import styled
from spade_tf.training.gaugan import GauGAN

# Above this many pictures, the kernel distance is the mean over subsets.
_WHOLE = 1000


class FeatureComparison:
    """Fréchet and kernel distance of a network's features, on held-out pictures.

    Pictures are made as an export makes them: with the averaged generator, if there is one, and
    with running statistics. Their style is that of the real picture, where there is an encoder.
    They are rounded to 8 bits. Features of the real pictures are computed once.

    Args:
        batches: the batches of the data set.
        features: function from pictures float32 `[B, H, W, 3]` in [-1, 1] to `[B, C]`.
        num_images: int >= 0, how many pictures to compare, from the first on; 0 for all.
    """

    def __init__(
        self,
        batches: tf.data.Dataset,
        features: Callable[[tf.Tensor], tf.Tensor],
        num_images: int = 0,
    ):
        self.batches = batches
        self.features = features
        self.num_images = num_images
        self._real: np.ndarray | None = None

    def begin(self, model: GauGAN) -> None:
        """Starts to look at a model.

        Args:
            model: that makes the pictures.
        """

        def of_real(batch: Any) -> tf.Tensor:
            return self.features(_rounded(batch["image"]))

        def of_fake(batch: Any) -> tf.Tensor:
            return self.features(_rounded(_pictures(model, batch)))

        self._of_real = traced_once(of_real, self.batches)
        self._of_fake = traced_once(of_fake, self.batches)

    def distances(self) -> dict[str, float]:
        """The distances now.

        Returns:
            `frechet_distance` and `kernel_distance`.

        Raises:
            ValueError: if the features of a picture are not finite.
        """
        if self._real is None:
            self._real = np.concatenate(list(self._rows(self._of_real)))
        fake = np.concatenate(list(self._rows(self._of_fake)))
        subsets = None if len(fake) <= _WHOLE else 100
        return {
            "frechet_distance": frechet_distance(self._real, fake),
            "kernel_distance": kernel_distance(self._real, fake, num_subsets=subsets),
        }

    def _rows(self, function: Callable[[Any], tf.Tensor]) -> Iterator[np.ndarray]:
        left = self.num_images or np.inf
        for batch in self.batches:
            rows = function(batch).numpy()[: int(min(left, len(batch["image"])))]
            left -= len(rows)
            yield rows
            if left <= 0:
                return


def traced_once(function: Callable, batches: tf.data.Dataset) -> Callable:
    """A graph of a function of a batch, for all batches of a data set.

    Args:
        function: takes a batch.
        batches: the data set; its own shapes allow a smaller last batch without a second trace.
    """
    return tf.function(function, input_signature=[batches.element_spec], autograph=False)


def _pictures(model: GauGAN, batch: Any) -> tf.Tensor:
    semantics = model.semantics(batch)
    generator, style = model.evaluated(semantics, batch["image"])
    with hold_state():
        return generator(**styled(generator, semantics, style), training=False)


def _rounded(image: tf.Tensor) -> tf.Tensor:
    """Pictures in [-1, 1] as a PNG holds them."""
    levels = tf.round((tf.cast(image, tf.float32) + 1.0) * 127.5)
    return tf.clip_by_value(levels, 0.0, 255.0) / 127.5 - 1.0
