"""Styles as the inputs and outputs of signatures: `z`, and `class_styles` beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from spade_tf.export.checks import Limits, checked_style, require
from spade_tf.networks.styles import seeded_styles, split_style, style_length

# In the order in which a whole style holds them.
KEYS = ("z", "class_styles")


class StyleInputs(NamedTuple):
    """The styles of a generator.

    Attributes:
        z_dim: length of the style of a picture, or None.
        num_labels: label ids.
        class_style_dim: length of the style of a class; 0 for none.
    """

    z_dim: int | None
    num_labels: int
    class_style_dim: int

    @classmethod
    def of(cls, generator: Any) -> StyleInputs:
        """Those of a generator."""
        class_style_dim = getattr(generator, "class_style_dim", 0)
        return cls(generator.z_dim, generator.num_labels, class_style_dim)

    def specs(self, *rows: int | None) -> dict[str, tf.TensorSpec]:
        """The inputs of a signature that takes styles.

        Args:
            rows: sizes before that of a style: None for a batch, twice for several of each.
        """
        shapes: dict[str, list[int]] = {}
        if self.z_dim is not None:
            shapes["z"] = [self.z_dim]
        if self.class_style_dim:
            shapes["class_styles"] = [self.num_labels, self.class_style_dim]
        return {
            key: tf.TensorSpec([*rows, *shape], tf.float32, name=key)
            for key, shape in shapes.items()
        }

    def split(self, style: tf.Tensor) -> dict[str, tf.Tensor]:
        """Whole styles as such inputs."""
        parts = zip(KEYS, split_style(self, style), strict=True)
        return {key: part for key, part in parts if part is not None}

    def drawn(self, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """The styles of seeds int64 `[B]`."""
        return self.split(seeded_styles(seed, style_length(self)))

    def checked(
        self, given: Mapping[str, tf.Tensor], label: tf.Tensor, limits: Limits
    ) -> dict[str, tf.Tensor]:
        """Styles that a client gave, one or several for each label map.

        Args:
            given: by key.
            label: `[B, H, W]`, of the size of the maps.
            limits: of the generator.
        """
        ranks = {key: spec.shape.rank for key, spec in self.specs(None).items()}
        checked = {
            key: checked_style(
                value, label, limits, name=key, several=value.shape.rank > ranks[key]
            )
            for key, value in given.items()
        }
        if len(checked) < 2 or checked["z"].shape.rank == ranks["z"]:
            return checked
        counts = [tf.shape(each)[1] for each in checked.values()]
        sentence = "class_styles: must hold as many styles of each map as z, {}, received {}"
        same = require(counts[0] == counts[1], sentence, *counts)
        with tf.control_dependencies([same]):
            return {key: tf.identity(value) for key, value in checked.items()}
