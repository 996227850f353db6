"""Drawn weights of the Inception network of 2015; see tests/goldens/inception/README.md."""

import zlib
from pathlib import Path

import numpy as np

GOLDENS = Path(__file__).parents[1] / "goldens/inception/features.npz"
PICTURE = np.random.RandomState(0).randint(0, 256, (1, 91, 107, 3)).astype(np.uint8)


def load_goldens():
    with np.load(GOLDENS) as arrays:
        return dict(arrays)


def draw_tensors():
    """All tensors of the state dict by name, in PyTorch's layout."""
    tensors = {"fc.weight": np.zeros([1008, 2048], np.float32)}
    for line in load_goldens()["tensors"]:
        name, shape = line.split()
        tensors[name] = _drawn(name, tuple(int(size) for size in shape.split(",")))
    return tensors


def _drawn(name, shape):
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("conv.weight"):
        values = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith(("running_var", "bn.weight")):
        values = random.uniform(0.5, 1.5, shape)
    else:
        values = random.standard_normal(shape) * 0.1
    return values.astype(np.float32)
