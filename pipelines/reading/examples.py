"""What operations on one example share: the type, its keys, and the random numbers they draw.

An example holds some of `image` float32 `[H, W, 3]`, `label` int `[H, W]`, `instance` int `[H, W]`,
`condition` float32 `[H, W, C]` and `canvas` float32 `[H, W, 4]`, all of one height and width.
Random operations draw from `example["seed"]`, an int64 `[2]`, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from pipelines.schema import ArgumentError, DataError

Example = dict[str, tf.Tensor]
Transform = Callable[[Example], Example]

ID_KEYS = ("label", "instance")
# Maps of numbers that can be averaged, 0 to 1.
FLOAT_KEYS = ("condition", "canvas")

# One per random operation: operations that share a seed must not draw the same numbers.
_CROP_SALT = 1
_FLIP_SALT = 2
COLOR_SALT = 3


def check_size(name: str, height: int, width: int) -> None:
    """Checks that a size is at least 1; `name` is the operation that was given it."""
    if height < 1 or width < 1:
        raise ArgumentError(name, f"{height}x{width} (height x width) received; give 1 or more")


def id_keys(example: Example) -> list[str]:
    """Returns the keys of the maps of ids."""
    return [key for key in ID_KEYS if key in example]


def map_keys(example: Example) -> list[str]:
    """Returns the keys of the image and of all maps."""
    return [key for key in ("image", *FLOAT_KEYS, *ID_KEYS) if key in example]


def salted(example: Example, salt: int) -> tf.Tensor:
    """Returns the seed of an operation: that of the example, with the salt of the operation."""
    if "seed" not in example:
        raise DataError("example: no 'seed' in it; random operations need one, an int64 [2]")
    return tf.random.fold_in(example["seed"], salt)


def source_size(example: Example) -> tf.Tensor:
    """Returns height and width of an example, int32 `[2]`: its image and maps have the same."""
    return tf.shape(example[map_keys(example)[0]])[:2]


def draw_crop_position(example: Example, room: tf.Tensor | tuple[int, int]) -> list[tf.Tensor]:
    """Draws the upper left corner of a crop that leaves this room below and right."""
    seeds = tf.random.split(salted(example, _CROP_SALT), 2)
    return [
        tf.random.stateless_uniform(
            (), seed=seeds[axis], minval=0, maxval=room[axis] + 1, dtype=tf.int32
        )
        for axis in range(2)
    ]


def draw_flip(example: Example) -> tf.Tensor:
    """Draws whether an example is mirrored, a bool scalar."""
    return tf.random.stateless_uniform((), seed=salted(example, _FLIP_SALT)) < 0.5
