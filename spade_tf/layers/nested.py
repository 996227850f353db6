"""The layers within a layer."""

from __future__ import annotations

import keras


def nested_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer or network, and all layers within it, at any depth, in the order they were made.

    Args:
        layer: where to begin.
    """
    # Private: Keras shows the layers of a `Model` alone, and only the first level of them.
    # tests/layers/test_nested.py would notice its end.
    return list(layer._flatten_layers())
