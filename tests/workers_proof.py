"""Proof that workers neither leak threads nor lose a slow chief: `python tests/workers_proof.py`.

A chief and a worker on the loopback device train the tests' tiny model, smaller still. Halfway
through the chief stands still within its own work, for longer than any time limit that is left:
`--connect_seconds` of the start, and the 10 s after which TensorFlow's coordination service takes a
silent worker for lost. Both must reach the end, each step once, and with as many threads as after
the first hundred steps.
"""

import argparse
import itertools
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny_experiment import training_command

SMALLER = [
    "--config.data.load_height=32",
    "--config.data.load_width=32",
    "--config.data.height=32",
    "--config.data.width=32",
    "--config.generator.num_upsampling_layers=normal",
    "--config.train.sample_every=100000",
    "--config.train.checkpoint_every=500",
]
# Read by the chief alone, which runs this file in place of run.py.
PAUSE = "SPADE_TF_PROOF_PAUSE"


def pausing_chief() -> None:
    """Runs `run.py`'s command line, standing still before the line of one step is written."""
    from spade_tf.training import callbacks

    at, seconds = json.loads(os.environ[PAUSE])
    write = callbacks.JsonLines.on_train_batch_end

    def wait_and_write(self, batch, logs=None):
        if batch == at:
            time.sleep(seconds)
        write(self, batch, logs)

    callbacks.JsonLines.on_train_batch_end = wait_and_write
    sys.argv[0] = str(Path(__file__).parents[1] / "run.py")
    runpy.run_path(sys.argv[0], run_name="__main__")


def start(kind: str, jobs: dict[str, list[str]], command: list[str], log: Path, pause: str):
    """One process of the cluster."""
    if kind == "chief":
        command = [command[0], __file__, *command[2:]]
    config = json.dumps({"cluster": jobs, "task": {"type": kind, "index": 0}})
    environment = {**os.environ, "TF_CONFIG": config, PAUSE: pause if kind == "chief" else ""}
    with log.open("w") as stderr:
        return subprocess.Popen(command, env=environment, stderr=stderr, stdout=stderr)


def lines(workdir: Path) -> list[dict[str, float]]:
    """The losses that were written."""
    path = workdir / "losses.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def threads(process: subprocess.Popen) -> int:
    """How many a process has."""
    return len(os.listdir(f"/proc/{process.pid}/task"))


def prove(arguments: argparse.Namespace, root: Path) -> dict[str, object]:
    """Runs it all; returns what was found."""
    holders = [socket.create_server(("", 0)) for _ in range(2)]
    addresses = [f"localhost:{holder.getsockname()[1]}" for holder in holders]
    for holder in holders:
        holder.close()
    jobs = {"chief": addresses[:1], "worker": addresses[1:]}
    pause = json.dumps([arguments.steps // 2, arguments.pause])
    limit = f"--connect_seconds={arguments.connect_seconds}"
    command = training_command(
        arguments.data_dir, root / "run", arguments.steps, limit, *SMALLER, *arguments.flags
    )
    both = [start(kind, jobs, command, root / kind, pause) for kind in jobs]
    counts: dict[int, list[int]] = {}
    while all(process.poll() is None for process in both):
        reached = len(lines(root / "run"))
        if reached // 100 > max(counts, default=0) // 100:
            counts[reached] = [threads(process) for process in both]
        time.sleep(0.5)
    codes = [process.wait() for process in both]
    assert codes == [0, 0], (root / "chief").read_text() + (root / "worker").read_text()
    steps = [line["step"] for line in lines(root / "run")]
    assert steps == list(range(1, arguments.steps + 1))
    seconds = [line["seconds"] for line in lines(root / "run")]
    paused = max(after - before for before, after in itertools.pairwise(seconds))
    assert paused > max(arguments.connect_seconds, 10.0)
    first, last = counts[min(counts)], counts[max(counts)]
    assert all(abs(end - begin) < 20 for begin, end in zip(first, last, strict=True)), counts
    return {
        "steps": steps[-1],
        "longest step": paused,
        "threads of chief and worker, by step": counts,
    }


if __name__ == "__main__":
    if os.environ.get(PAUSE):
        pausing_chief()
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, required=True, help="of a prepared paired_folder")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--pause", type=float, default=90.0, help="seconds that the chief rests")
    parser.add_argument("--connect_seconds", type=float, default=60.0)
    parser.add_argument("flags", nargs="*", help="further flags of the training, after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        print(json.dumps(prove(arguments, Path(root)), indent=1))
