"""Proof that a run survives kills: `python tests/proofs/kill.py --data_dir DIR --kills 50`.

One run of the tests' tiny model is killed at random times and started again. Every start must
continue from the last checkpoint seen or a newer one. The last start must reach the end. There
must be no leftover files.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from tiny_experiment import training_command


def command(data_dir: Path, workdir: Path, steps: int) -> list[str]:
    """The command line of a training that writes often."""
    often = ["--config.train.sample_every=5", "--config.train.checkpoint_every=2"]
    return training_command(data_dir, workdir, steps, "--strategy=one", *often)


def last_step(workdir: Path, since: float) -> int:
    """The last step whose losses were written since some time; 0 for none."""
    path = workdir / "losses.jsonl"
    if not path.exists() or path.stat().st_mtime < since:
        return 0
    found = re.findall(r'"step": (\d+)', path.read_text())
    return int(found[-1]) if found else 0


def newest_checkpoint(workdir: Path, since: float = 0.0) -> int:
    """The step of the newest checkpoint that counts; 0 for none."""
    path = workdir / "checkpoints" / "checkpoint"
    text = path.read_text() if path.exists() else ""
    return max((int(number) for number in re.findall(r"step-(\d+)", text)), default=0)


def prove(
    data_dir: Path, workdir: Path, kills: int, seed: int, seconds: float
) -> dict[str, object]:
    """Runs it all; returns what was found."""
    draw = random.Random(seed)
    saved, early = 0, 0
    for kill in range(kills):
        log = workdir / "log"
        started = time.time()
        with log.open("w") as stderr:
            process = subprocess.Popen(command(data_dir, workdir, 1_000_000), stderr=stderr)
        # A third of the kills come at any time, start-up included; a third during training; and a
        # third after a checkpoint, so that the run makes progress.
        if kill % 3:
            reached = newest_checkpoint if kill % 3 == 2 else last_step
            while reached(workdir, since=started) <= saved:
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            time.sleep(draw.uniform(0, seconds))
        else:
            time.sleep(draw.uniform(0, 30))
        assert process.poll() is None, log.read_text()
        process.kill()
        process.wait()
        told = re.search(r"resumed from step (\d+)", log.read_text())
        early += told is None
        if told:
            assert int(told[1]) >= saved, (told[1], saved)
        newest = newest_checkpoint(workdir)
        assert newest >= saved
        saved = newest
        print(f"kill {kill + 1}: saved step {saved}", file=sys.stderr, flush=True)
    steps = saved + 3
    last = subprocess.run(
        command(data_dir, workdir, steps), stderr=subprocess.PIPE, text=True, check=True
    )
    assert not saved or f"resumed from step {saved}" in last.stderr
    assert f"step {steps}: finished" in last.stderr
    lines = [json.loads(line)["step"] for line in (workdir / "losses.jsonl").open()]
    assert lines == list(range(1, steps + 1)), lines
    (workdir / "log").unlink()
    files = [path.name for path in workdir.rglob("*") if path.is_file()]
    usual = r"config.json|.lock|losses.jsonl|report.html|checkpoint|events\..*|step-\d{6}.png"
    usual += r"|course.json|step-\d+\.index|step-\d+\.data-00000-of-00001"
    orphans = [name for name in files if not re.fullmatch(usual, name)]
    checkpoints = sorted(path.stem for path in workdir.glob("checkpoints/*.index"))
    assert not orphans, orphans
    assert len(list(workdir.glob("checkpoints/step-*"))) == 2 * len(checkpoints) <= 6
    return {"kills": kills, "before the first step": early, "steps": steps, "orphans": orphans}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data_dir", type=Path, required=True, help="folder of a prepared paired_folder"
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=4.0, help="longest training before a kill")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        found = prove(
            arguments.data_dir, Path(root), arguments.kills, arguments.seed, arguments.seconds
        )
    print(json.dumps(found))
