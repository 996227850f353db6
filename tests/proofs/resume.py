"""Proof that a killed run ends bit-identical to one without a stop: `tests/proofs/resume.py`.

Trains the tests' tiny model for 20 steps without a stop, and for 10 + 10 steps with SIGKILL or
SIGTERM between, on one device with deterministic operations. Compares every tensor of the last
checkpoints: networks, averages, both optimizers' slots and counts.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from tiny_experiment import training_command


def command(data_dir: Path, workdir: Path) -> list[str]:
    """The command line of a training of 20 steps."""
    exactly = ["--strategy=one", "--config.train.deterministic=True"]
    seldom = ["--config.train.checkpoint_every=10", "--config.train.sample_every=1000"]
    return training_command(data_dir, workdir, 20, *exactly, *seldom)


def train_and_die(data_dir: Path, workdir: Path, number: int) -> int:
    """Trains past step 10, and sends a signal once that step has been saved."""
    with subprocess.Popen(command(data_dir, workdir), stderr=subprocess.DEVNULL) as process:
        while not (workdir / "checkpoints" / "step-10.index").exists():
            if process.poll() is not None:
                break
            time.sleep(0.001)
        os.kill(process.pid, number)
        return process.wait()


def tensors(workdir: Path) -> dict[str, np.ndarray]:
    """All tensors of the newest checkpoint, except the number of saves."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(workdir / "checkpoints"))
    skipped = ("_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter/.ATTRIBUTES/VARIABLE_VALUE")
    names = [name for name in reader.get_variable_to_shape_map() if name not in skipped]
    return {name: reader.get_tensor(name) for name in names}


def prove(data_dir: Path, root: Path) -> dict[str, object]:
    """Runs it all; returns what was found."""
    straight = root / "straight"
    subprocess.run(command(data_dir, straight), check=True, stderr=subprocess.DEVNULL)
    expected = tensors(straight)
    result: dict[str, object] = {"tensors": len(expected)}
    for number in (signal.SIGKILL, signal.SIGTERM):
        workdir = root / number.name
        result[f"{number.name} exit"] = train_and_die(data_dir, workdir, number)
        steps = [int(path.stem[5:]) for path in workdir.glob("checkpoints/*.index")]
        result[f"{number.name} saved"] = sorted(steps)
        if max(steps) < 20:
            subprocess.run(command(data_dir, workdir), check=True, stderr=subprocess.DEVNULL)
        actual = tensors(workdir)
        assert actual.keys() == expected.keys()
        different = [n for n in expected if actual[n].tobytes() != expected[n].tobytes()]
        result[f"{number.name} different"] = different
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data_dir", type=Path, required=True, help="folder of a prepared paired_folder"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        print(json.dumps(prove(arguments.data_dir, Path(root)), indent=1))
