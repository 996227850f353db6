"""Final weights: read from layers, and held by fused ones."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf


def array(variable: keras.Variable) -> np.ndarray:
    """The value of a variable, float32."""
    return np.asarray(variable, "float32")


def constant(value: np.ndarray, dtype: tf.DType) -> tf.Variable:
    """A variable that no training changes. SavedModels keep it beside the graph, not in it."""
    return tf.Variable(tf.cast(value, dtype), trainable=False)
