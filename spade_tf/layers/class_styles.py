"""Styles per class: what layers see of a pixel beside its label is the vector of its class.

A convolution of one-hot labels, each followed by the vector `s` of its class, is linear: at each
tap, label `n` of example `b` adds `W[n] + s[b, n] V`. So for the look-up of neighbourhoods, each
label of each example is a label of its own, and has its own row of the kernel. For the dense form,
the vectors are further channels of the map.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def check_class_styles(owner: str, class_styles: Any, class_style_dim: int) -> None:
    """Raises a ValueError unless there are class styles where, and as long as, they are needed.

    Args:
        owner: who needs them, for the message.
        class_styles: `[B, N, D]`, or None.
        class_style_dim: int, D; 0 for a layer that takes none.
    """
    received = None if class_styles is None else class_styles.shape[-1]
    if received == (class_style_dim or None):
        return
    if not class_style_dim:
        raise ValueError(
            f"{owner} has no class_style_dim and takes no class styles: received vectors of "
            f"{received}"
        )
    raise ValueError(
        f"{owner} needs class_styles [B, labels, {class_style_dim}] beside the labels: received "
        f"{'none' if received is None else f'vectors of {received}'}"
    )


def as_class_styles(semantics: Any, class_styles: Any) -> tf.Tensor | None:
    """Class styles as a tensor that fits label maps.

    Args:
        semantics: the `Semantics`, whose first N channels are labels.
        class_styles: float `[B, N, D]`; or None.

    Raises:
        ValueError: if they are of another rank, or fit neither batch nor labels.
    """
    if class_styles is None:
        return None
    class_styles = tf.cast(class_styles, semantics.dtype)
    shape, batch, channels = class_styles.shape, semantics.shape[0], semantics.channels
    fits = shape.rank == 3 and None not in shape[1:] and shape[1] <= channels
    if not fits or (None not in (batch, shape[0]) and batch != shape[0]):
        raise ValueError(
            "class_styles must be float [B, labels, D], a vector for each label of each map, "
            f"for a batch of {batch} and at most {channels} labels: received {shape}"
        )
    return class_styles


def style_map(dense: tf.Tensor, class_styles: tf.Tensor) -> tf.Tensor:
    """The vector of each pixel's class: the one-hot map times the matrix of vectors.

    Args:
        dense: `[B, H, W, C]`, one-hot labels in the first N channels.
        class_styles: `[B, N, D]`.

    Returns:
        `[B, H, W, D]`; zero where a pixel has no label.
    """
    labels, dim = class_styles.shape[1:]
    if class_styles.shape[0] == 1:
        # Edge GPUs take a convolution of any kernel, and get a product of matrices wrong.
        return tf.nn.conv2d(dense[..., :labels], class_styles[tf.newaxis], 1, "VALID")
    batch, height, width = tf.unstack(tf.shape(dense)[:3])
    pixels = tf.reshape(dense[..., :labels], [batch, height * width, labels])
    made = tf.reshape(tf.matmul(pixels, class_styles), [batch, height, width, dim])
    made.set_shape([*dense.shape[:3], dim])
    return made


def labels_by_example(label: tf.Tensor, num_labels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels of which no two examples share any: `b * num_labels + label`.

    Args:
        label: int `[B, H, W]`.
        num_labels: int >= 1.

    Returns:
        `(labels, count)`: int32 `[B, H, W]`, -1 where there is no such label; and how many there
        can be, a scalar.
    """
    examples = tf.shape(label)[0]
    label = tf.cast(label, tf.int32)
    exists = (label >= 0) & (label < num_labels)
    first = num_labels * tf.range(examples)[:, None, None]
    return tf.where(exists, label + first, -1), examples * num_labels


def styled_kernel(
    kernel: tf.Tensor, style_kernel: tf.Tensor, class_styles: tf.Tensor, label: tf.Tensor
) -> tf.Tensor:
    """The kernel for the labels of `labels_by_example`, and the edge channel after them.

    Args:
        kernel: `[k, k, C, filters]`, of one-hot labels, and of edges if there is one more channel.
        style_kernel: `[k, k, D, filters]`, of the vectors.
        class_styles: `[B, N, D]`.
        label: `[B, H, W]`.

    Returns:
        `[k, k, B * N + C - N, filters]`.
    """
    labels = class_styles.shape[1]
    size, _, _, filters = kernel.shape
    added = tf.einsum("bnd,ijdf->ijbnf", class_styles, style_kernel)
    # Fails where there are more or fewer styles than label maps.
    styled = tf.reshape(
        kernel[:, :, None, :labels] + added, [size, size, tf.shape(label)[0] * labels, filters]
    )
    return tf.concat([styled, kernel[:, :, labels:]], 2)
