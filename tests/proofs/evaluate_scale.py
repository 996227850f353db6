"""Scores one model in four ways, and compares time, memory and scores.

    python run.py serve --model=saved_models/my --model_name=my --port=8501
    python tests/proofs/evaluate_scale.py --workdir=runs/my --export=saved_models/my/1 \
        --endpoint=http://127.0.0.1:8501 --model_name=my --data_dir=data --count=2000

`evaluate` runs in a fresh process for each way: the workdir on one device and on two virtual ones,
the export, and the server. Nothing is kept from one to the next. The server's own memory is not
counted. The table has, for each way, the largest relative difference of a score, or of an end of
its interval, to the first way, and which score that is. Exit code 1 if one is above the way's
bound.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

# All ways are judged by the same networks. Two devices make the same 8 bits a pixel as one: what is
# left is the order in which they add up sums.
OF_DEVICES = 1e-6
# The encoder of an export makes the same styles but for rounding (8e-7). So a value half way
# between two levels of 8 bits may fall to the other: 4 of 1.2 million did, each by one level.
OF_EXPORTS = 1e-4


class Way(NamedTuple):
    """One way to score the model.

    Attributes:
        name: of its row.
        flags: of `evaluate`.
        other: name of the way that it is compared with, or None.
        bound: of the largest relative difference.
    """

    name: str
    flags: list[str]
    other: str | None = None
    bound: float = OF_EXPORTS


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--export", required=True, help="folder of a version of its export")
    parser.add_argument("--endpoint", help="of a server of that export; none to leave it out")
    parser.add_argument("--model_name")
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--segmenter")
    parser.add_argument("--count", type=int, default=2000, help="pictures")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--output_dir", type=Path, default=Path("out/evaluate_scale"))
    arguments = parser.parse_args()
    print_row("evaluated", "seconds", "peak MiB", "largest relative difference", "of", "to")
    print_row(*["---"] * 6)
    found: dict[str, dict[str, float]] = {}
    failed = False
    for way in ways(arguments):
        seconds, mib = run(way, arguments)
        found[way.name] = scores(arguments.output_dir / folder(way) / "evaluation.json")
        if way.other is None:
            print_row(way.name, f"{seconds:.0f}", f"{mib:.0f}", "", "", "")
            continue
        worst, name = largest(found[way.other], found[way.name])
        failed |= worst > way.bound
        print_row(way.name, f"{seconds:.0f}", f"{mib:.0f}", f"{worst:.1e}", name, way.other)
    return int(failed)


def ways(arguments: argparse.Namespace) -> list[Way]:
    """All ways to score the model that there is something for."""
    one, workdir = ["--strategy=one"], f"--model={arguments.workdir}"
    found = [
        Way("workdir, 1 device", [workdir, *one]),
        Way(
            "workdir, 2 devices",
            [workdir, "--strategy=mirrored", "--num_virtual_cpus=2"],
            "workdir, 1 device",
            OF_DEVICES,
        ),
        Way("export", [f"--model={arguments.export}", *one], "workdir, 1 device"),
    ]
    if arguments.endpoint:
        server = [f"--endpoint={arguments.endpoint}", f"--model_name={arguments.model_name}"]
        found.append(Way("server", [*server, *one], "workdir, 1 device"))
    return found


def folder(way: Way) -> str:
    """The name of the folder of its results."""
    return way.name.replace(",", "").replace(" ", "_")


def run(way: Way, arguments: argparse.Namespace) -> tuple[float, float]:
    """Evaluates in a fresh process; returns its seconds, and its peak of resident memory in MiB."""
    out = arguments.output_dir / folder(way)
    out.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, str(ROOT / "run.py"), "evaluate", *way.flags, f"--output_dir={out}"),
        *(f"--data_dir={arguments.data_dir}", f"--max_images={arguments.count}", "--cache_dir="),
        f"--batch_size={arguments.batch_size}",
        *([f"--segmenter={arguments.segmenter}"] if arguments.segmenter else []),
    ]
    begun = time.perf_counter()
    with (out / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{way.name}: {' '.join(command)} failed; see {out / 'log'}")
    # Linux counts in KiB.
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def scores(path: Path) -> dict[str, float]:
    """All scores of an evaluation, and the ends of their intervals, by name."""
    found: dict[str, float] = {}

    def collect(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                collect(f"{name}/{key}", item)
        elif isinstance(value, list):
            for place, item in enumerate(value):
                collect(f"{name}/{place}", item)
        elif isinstance(value, str):
            # A time of day that drawn styles lack. Evaluations with others have other names here.
            found[f"{name}/{value}"] = 0.0
        elif value is not None:
            found[name] = float(value)

    collect("", json.loads(path.read_text())["scores"])
    return {name.removeprefix("/").removesuffix("/value"): each for name, each in found.items()}


def largest(one: Mapping[str, float], other: Mapping[str, float]) -> tuple[float, str]:
    """The largest relative difference of two evaluations, and the score that has it."""
    if one.keys() != other.keys():
        return float("inf"), ", ".join(sorted(one.keys() ^ other.keys()))
    worst, name = max(
        (abs(other[name] - value) / max(abs(value), abs(other[name]), 1e-12), name)
        for name, value in one.items()
    )
    return worst, name if worst else ""


def print_row(*cells: str) -> None:
    """Prints a row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
