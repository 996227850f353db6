"""How much memory a process takes that serves an export, measured.

What a picture takes grows with its pixels, and with how diverse its label map is: a map of noise,
in which all neighbourhoods differ, takes the most. So noise is run in a process of its own: one
picture, then one map in several styles, then several maps. A line through the peaks of the first
and of each of the others is the bound; beyond what was run, it is extrapolated.

What is run is `stage_picture`, the generator, and `stage_finish_uint8`: whole signatures have
little more to do, and each would prepare the graph of the generator once more.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# Pixels of the largest map that is run: of larger ones, minutes would be spent.
_LARGEST = 1 << 18

_GIB = 1 << 30

# What allocators keep differs from run to run, and from one server to another.
_MARGIN = 1.15


class Memory(NamedTuple):
    """A bound of the peak memory of a process: `base + per_pixel * pixels`.

    Attributes:
        base: bytes.
        per_pixel: bytes for each pixel of all pictures that are made at once.
        measured: pixels and bytes of each run.
    """

    base: int
    per_pixel: float
    measured: tuple[tuple[int, int], ...]

    def bytes_of(self, pixels: int) -> int:
        """The bound for so many pixels."""
        return round(self.base + self.per_pixel * pixels)


def measure_memory(version: Path, model: Any) -> dict[str, Memory]:
    """Measures an export on the processor, in a process of its own.

    Args:
        version: directory of a SavedModel.
        model: the `ServedModel` that it was made from.

    Returns:
        Bounds by signature: of `serving_default`, and of `generate_styles` where it is there. Empty
        where the operating system does not tell, or the memory did not suffice.
    """
    count, height, width = noise_size(model.image_size, model.limits)
    # Rising, as a process never has a lower peak: styles of one map share what depends on it.
    runs = [Run(1, 1, height, width)]
    styles = {key: spec.shape[1:].as_list() for key, spec in model.styles.specs(None).items()}
    if styles:
        runs.append(Run(1, count, height, width))
    runs.append(Run(count, count, height, width))
    facts = {
        "num_labels": model.limits.num_labels,
        "condition_channels": model.source_files.condition_channels,
        "use_instance_edges": model.use_instance_edges,
        "styles": styles,
    }
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_quietly) as process:
        try:
            peaks = process.submit(_peaks, str(version), runs, facts).result()
        except BrokenProcessPool:
            return {}
    if not peaks:
        return {}
    first, *others = zip((run.styles * height * width for run in runs), peaks, strict=True)
    names = ["generate_styles", "serving_default"][-len(others) :]
    return {name: line_above([first, other]) for name, other in zip(names, others, strict=True)}


class Run(NamedTuple):
    """Noise that is run.

    Attributes:
        maps: in the batch.
        styles: pictures that are made of them.
        height: of each.
        width: likewise.
    """

    maps: int
    styles: int
    height: int
    width: int


def noise_size(image_size: tuple[int, int], limits: Any) -> tuple[int, int, int]:
    """Batch, height and width of the largest noise that is run.

    Args:
        image_size: `(height, width)` that the model was trained at.
        limits: of label maps.
    """
    height, width = image_size
    if limits.fixed_size is None:
        # Half of each side, as long as the map is too large.
        halves = [size // 2 // limits.multiple * limits.multiple for size in (height, width)]
        while height * width > _LARGEST and min(halves) >= limits.smallest:
            height, width = halves
            halves = [size // 2 // limits.multiple * limits.multiple for size in (height, width)]
    return min(max(_LARGEST // (height * width), 2), 3), height, width


def line_above(peaks: Sequence[tuple[int, int]]) -> Memory:
    """A line that no peak is above: through the first and the last, lifted, and with a margin.

    Args:
        peaks: pixels and bytes of runs, at least two, by pixels.
    """
    (least, lowest), (most, highest) = peaks[0], peaks[-1]
    slope = max((highest - lowest) / (most - least), 0)
    base = max(size - slope * pixels for pixels, size in peaks)
    return Memory(round(base * _MARGIN), slope * _MARGIN, tuple((p, size) for p, size in peaks))


def _quietly() -> None:
    """Writes nothing, if this process's parent is to be silent: TensorFlow does as it starts."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "3":
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _peaks(version: str, runs: Sequence[Run], facts: dict[str, Any]) -> list[int]:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    # TensorFlow would import it, and pandas with it, and goes on without.
    sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
    import tensorflow as tf

    graph = tf.Graph()
    peaks = []
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], version)
        picture = meta_graph.signature_def["stage_picture"]
        finish = meta_graph.signature_def["stage_finish_uint8"]
        for run in runs:
            inputs = _noise(facts, run)
            feeds = {picture.inputs[key].name: value for key, value in inputs.items()}
            try:
                image = session.run(picture.outputs["image"].name, feeds)
                session.run(finish.outputs["image"].name, {finish.inputs["image"].name: image})
            except tf.errors.ResourceExhaustedError:
                return []
            peak = peak_memory()
            if peak is None:
                return []
            peaks.append(peak)
    return peaks


def _noise(facts, run):
    random = np.random.default_rng(0)
    shape = (run.maps, run.height, run.width)
    if facts["condition_channels"]:
        condition = random.random((*shape, facts["condition_channels"]), np.float32)
        inputs = {"condition": condition}
    else:
        inputs = {"label": random.integers(0, facts["num_labels"], shape, np.int32)}
    if facts["use_instance_edges"]:
        inputs["instance"] = random.integers(0, 2, shape, np.int32)
    for key, shape in facts["styles"].items():
        inputs[key] = np.zeros([run.styles, *shape], np.float32)
    return inputs


def said_of_memory(bounds: Mapping[str, Memory], limits: Any) -> str:
    """A line that tells what was measured, and what is only extrapolated from it.

    Args:
        bounds: as of `measure_memory`.
        limits: of label maps.
    """
    needed = picture_memory(bounds, limits)
    if needed is None:
        return "memory: not measured, as this system does not tell it, or did not have enough"
    measured = bounds["serving_default"].measured
    pixels, peak = measured[-1]
    return (
        f"memory: {peak / _GIB:.2f} GiB measured at {pixels} pixels of noise at once; "
        f"extrapolated, {needed / _GIB:.2f} GiB for the most that are made of one map "
        f"({limits.max_pixels} pixels, in all styles)"
    )


def picture_memory(bounds: Mapping[str, Memory], limits: Any) -> int | None:
    """Bytes of a process that makes one picture at a time, the largest that an export makes.

    Args:
        bounds: as of `measure_memory`.
        limits: of label maps.

    Returns:
        The bound; None where nothing was measured.
    """
    pixels = dict.fromkeys(bounds, limits.max_pixels)
    if limits.fixed_size is not None and bounds:
        pixels["serving_default"] = limits.fixed_size[0] * limits.fixed_size[1]
    return max((bound.bytes_of(pixels[name]) for name, bound in bounds.items()), default=None)


def peak_memory() -> int | None:
    """The most bytes that this process has held; None where the operating system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) << 10 if found else None
