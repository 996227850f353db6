"""What is said of a LiteRT model, all of it measured, and when it must not be shipped."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from spade_tf.export.litert.model import GPU_SAFE_OPS, LiteRTModel

# The largest finite float16.
FLOAT16_LIMIT = 65504.0
# What GPU delegates take: images have batch, height, width and channels.
_LARGEST_RANK = 4
# How many maps activations are looked at on: all tensors are held at once.
_ACTIVATION_EXAMPLES = 4


def psnr(given: np.ndarray, expected: np.ndarray, peak: float) -> float:
    """Peak signal-to-noise ratio in decibels, `10 log10(peak^2 / mean((given - expected)^2))`.

    Args:
        given: an array.
        expected: of the same shape.
        peak: how far apart values can be: 2 for pictures in [-1, 1].

    Returns:
        At most 200, which stands for equal ones.
    """
    error = float(np.mean(np.square(np.asarray(given, "float64") - expected)))
    # Also where it is NaN: that compares false with everything.
    if not error >= 0:
        return -math.inf
    return min(200.0, 10.0 * math.log10(peak**2 / error)) if error else 200.0


def report(
    model: LiteRTModel,
    examples: Sequence[Mapping[str, np.ndarray]],
    expected: np.ndarray,
    *,
    output: str,
    peak: float,
    smallest_psnr: float,
) -> dict[str, Any]:
    """What is measured of a model.

    Args:
        model: to measure.
        examples: its inputs by name.
        expected: `[N, ...]`, what Keras makes of them.
        output: name of the output to compare.
        peak: of the signal, as in `psnr`.
        smallest_psnr: in decibels, what the model must reach.

    Returns:
        A dictionary for JSON.
    """
    given = np.concatenate([model(**example)[output] for example in examples])
    operations = model.operations()
    unsafe = sorted(set(operations.counts) - GPU_SAFE_OPS)
    decibels = psnr(given, expected, peak)
    return {
        "size_bytes": len(model.content),
        **model.describe(),
        "operations": operations.counts,
        "gmac": round(operations.multiply_adds / 1e9, 4),
        "largest_rank": operations.largest_rank,
        "operations_not_gpu_safe": unsafe,
        "gpu_safe": not unsafe and operations.largest_rank <= _LARGEST_RANK,
        "against_keras": {
            "examples": len(examples),
            "psnr_db": round(decibels, 2),
            "max_abs_difference": float(np.max(np.abs(given - expected))),
            "smallest_psnr_db": smallest_psnr,
            "within_bound": decibels >= smallest_psnr,
        },
        "cpu": {
            "milliseconds": model.milliseconds(examples[0]),
            "runs": 5,
            "threads": model.num_threads,
            "machine": platform.machine(),
            "runtime": f"ai-edge-litert {metadata.version('ai-edge-litert')}",
        },
    }


def activation_report(
    model: LiteRTModel, examples: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, Any]:
    """How near activations come to what float16 can hold.

    Args:
        model: in float32, every tensor of which is looked at.
        examples: its inputs by name, of which a few are taken.
    """
    largest, tensor = model.largest_activation(list(examples[:_ACTIVATION_EXAMPLES]))
    return {
        "largest_magnitude": largest,
        "tensor": tensor,
        "float16_limit": FLOAT16_LIMIT,
        "fits_float16": largest <= FLOAT16_LIMIT,
    }


def objections(name: str, facts: Mapping[str, Any], *, for_gpu: bool) -> list[str]:
    """Why a model must not be shipped, one sentence each; empty if it may.

    Args:
        name: of the variant.
        facts: what `report` says of it.
        for_gpu: bool, whether all of it must run on a GPU.
    """
    found = []
    against = facts["against_keras"]
    if not against["within_bound"]:
        found.append(
            f"{name}: {against['psnr_db']} dB against Keras, less than "
            f"{against['smallest_psnr_db']}"
        )
    if for_gpu and not facts["gpu_safe"]:
        what = ", ".join(facts["operations_not_gpu_safe"]) or f"rank {facts['largest_rank']}"
        found.append(f"{name}: not for GPUs ({what})")
    activations = facts.get("activations")
    if activations is not None and name.endswith("float16") and not activations["fits_float16"]:
        found.append(
            f"{name}: {activations['tensor']} reaches {activations['largest_magnitude']:.4g}, more "
            f"than float16 holds ({FLOAT16_LIMIT:.0f})"
        )
    return found
