"""Proof that workers neither leak threads nor lose a slow chief: `python tests/proofs/workers.py`.

A chief and a worker on the loopback device train a GauGAN of small networks for 2,000 steps.
Halfway through, the chief pauses in its own work for longer than any time limit:
`--connect_seconds` of the start, and the 10 s after which TensorFlow's coordination service gives
up a silent process. Both must do every step, with the same losses, and must end with no more
threads than after the first steps.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from worker_process import train_together

HEARTBEAT_SECONDS = 10.0
# Thread pools grow by some threads. A thread per collective would add tens of thousands.
TOLERANCE = 20


def prove(steps: int, pause: float, connect_seconds: float) -> dict[str, object]:
    """Runs it; returns what was found."""
    assert pause > max(connect_seconds, HEARTBEAT_SECONDS)
    every, half = steps // 10, steps // 2
    flags = {"steps": steps, "every": every, "pause_at": half, "pause": pause}
    flags["connect_seconds"] = connect_seconds
    both = train_together("--gaugan", *(f"--{name}={value}" for name, value in flags.items()))
    chief, worker = both
    assert chief["steps"] == worker["steps"] == steps == len(chief["losses"])
    assert chief["losses"] == worker["losses"]
    assert chief["longest step"] >= pause, chief["longest step"]
    assert worker["longest step"] > pause - 5.0, worker["longest step"]
    for found in both:
        counts = found["threads"]
        assert counts[str(steps)] - counts[str(every)] < TOLERANCE, counts
    return {
        "steps": steps,
        "longest step, in seconds": [round(found["longest step"], 1) for found in both],
        "threads of the chief": chief["threads"],
        "threads of the worker": worker["threads"],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--pause", type=float, default=90.0)
    parser.add_argument("--connect_seconds", type=float, default=60.0)
    print(json.dumps(prove(**vars(parser.parse_args())), indent=1))
