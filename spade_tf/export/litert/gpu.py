"""LiteRT models run by the GPU accelerator, in a process of its own.

What the GPU's driver is, its environment says: `LD_LIBRARY_PATH` and `VK_ICD_FILENAMES`, read when
a process starts. A driver that fails may take its process with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class GPURun(NamedTuple):
    """What a GPU made of a model.

    Attributes:
        fully_accelerated: whether all operations ran on it.
        outputs: `[N, ...]`, of the model's only output.
    """

    fully_accelerated: bool
    outputs: np.ndarray


class GPUError(ValueError):
    """A model that no GPU ran; the message is one line."""


def run_on_gpu(
    path: str | os.PathLike[str],
    examples: Sequence[Mapping[str, np.ndarray]],
    *,
    environment: Mapping[str, str] | None = None,
    seconds: float = 600.0,
) -> GPURun:
    """Runs a LiteRT model on the GPU alone: what it cannot run there fails.

    Args:
        path: of a `.tflite` file with one signature of one output.
        examples: its inputs by name, at least one, in the dtypes that it takes.
        environment: variables to add to those of this process, for the driver.
        seconds: float > 0, how long to wait.

    Raises:
        GPUError: if there is no GPU, or the model does not run on it.
    """
    with tempfile.TemporaryDirectory(prefix="spade-tf-") as folder:
        given, taken = Path(folder) / "given.npz", Path(folder) / "taken.npz"
        arrays: dict[str, Any] = {
            name: np.stack([example[name] for example in examples]) for name in examples[0]
        }
        np.savez(given, **arrays)
        command = [sys.executable, "-m", __name__, str(path), str(given), str(taken)]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **(environment or {})},
                capture_output=True,
                text=True,
                timeout=seconds,
                cwd=Path(__file__).parents[3],
            )
        except subprocess.TimeoutExpired:
            raise GPUError(f"{path}: nothing from the GPU after {seconds:g} s") from None
        if done.returncode or not taken.exists():
            lines = [line for line in done.stderr.splitlines() if "rror" in line]
            reason = (lines or done.stderr.splitlines() or ["no message"])[-1].strip()
            raise GPUError(f"{path}: not run on a GPU ({reason[:200]})")
        with np.load(taken) as result:
            return GPURun(bool(result["fully_accelerated"]), result["outputs"])


def _run(path: str, given: str, taken: str) -> None:
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator

    # Without HardwareAccelerator.CPU beside it, nothing falls back to the processor.
    model = CompiledModel.from_file(path, hardware_accel=HardwareAccelerator.GPU)
    (signature,) = model.get_signature_list().items()
    names = signature[1]["inputs"]
    (detail,) = model.get_output_tensor_details(signature[0]).values()
    shape, dtype = detail["shape"], np.dtype(detail["dtype"])
    buffers, (output,) = model.create_input_buffers(0), model.create_output_buffers(0)
    outputs = []
    with np.load(given) as arrays:
        for index in range(len(arrays[names[0]])):
            for name, buffer in zip(names, buffers, strict=True):
                buffer.write(np.ascontiguousarray(arrays[name][index]))
            model.run_by_index(0, buffers, [output])
            flat = output.read(int(np.prod(shape)), dtype.type)
            outputs.append(np.reshape(flat, shape))
    np.savez(
        taken,
        fully_accelerated=model.is_fully_accelerated(),
        outputs=np.concatenate(outputs),
    )


if __name__ == "__main__":
    _run(*sys.argv[1:])
