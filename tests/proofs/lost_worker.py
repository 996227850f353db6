"""Proof that a lost worker is named: `python tests/proofs/lost_worker.py --data_dir DIR`.

Two workers on the loopback device train the tests' tiny model. One is killed after some steps. The
other must end by itself within `--seconds`, with an error that names the lost worker. Started
again, both must continue from the checkpoint to the end.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from tiny_experiment import training_command

STEPS = 30
# The launcher's message. The other worker must find out by itself.
LOST = r"worker 1 at (\S+) was killed by SIGKILL"


def command(data_dir: Path, workdir: Path, steps: int) -> list[str]:
    """The command line of a training by two workers."""
    seldom = ["--config.train.checkpoint_every=10", "--config.train.sample_every=1000"]
    return training_command(data_dir, workdir, steps, "--local_workers=2", *seldom)


def steps_of(workdir: Path) -> list[int]:
    """The steps whose losses were written."""
    path = workdir / "losses.jsonl"
    return [json.loads(line)["step"] for line in path.open()] if path.exists() else []


def workers_of(launcher: int) -> list[int]:
    """Process ids, in the order of their start."""
    path = Path(f"/proc/{launcher}/task/{launcher}/children")
    return sorted(int(word) for word in path.read_text().split())


def prove(data_dir: Path, workdir: Path, seconds: float) -> dict[str, object]:
    """Runs it all; returns what was found."""
    with subprocess.Popen(
        command(data_dir, workdir, 100_000), stderr=subprocess.PIPE, text=True
    ) as process:
        while not (workdir / "checkpoints" / "step-10.index").exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.1)
        os.kill(workers_of(process.pid)[1], signal.SIGKILL)
        start = time.monotonic()
        assert process.stderr is not None
        said = process.stderr.read()
        code = process.wait()
        taken = time.monotonic() - start
    reached = max(steps_of(workdir))
    lines = [line for line in said.replace("\r", "\n").splitlines() if "worker" in line]
    again = subprocess.run(command(data_dir, workdir, reached + STEPS), stderr=subprocess.DEVNULL)
    after = steps_of(workdir)
    assert code != 0
    assert taken < seconds
    (address,) = (match[1] for line in lines if (match := re.match(LOST, line)))
    assert any("error" in line and address in line for line in lines), said
    assert (again.returncode, after[-1]) == (0, reached + STEPS)
    return {
        "exit code": code,
        "seconds": round(taken, 1),
        "said": lines,
        "killed at step": reached,
        "then reached": after[-1],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data_dir", type=Path, required=True, help="folder of a prepared paired_folder"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="time for the other to end")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        found = prove(arguments.data_dir, Path(root) / "run", arguments.seconds)
    print(json.dumps(found, indent=1))
