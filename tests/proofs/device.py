"""Proof that devices do not change a training: `python tests/proofs/device.py --data_dir DIR`.

Trains the tests' tiny model for five steps, with its encoder, synchronised batch norm and spectral
norm: on one device, on two mirrored virtual devices, and on two workers on the loopback device.
Reports, step by step, the largest relative difference of a loss from that on one device. Learning
rates are the defaults. Adam's epsilon is 1e-2: some gradients are only rounding (such as those of
biases before a batch norm), and a small epsilon moves their weights by full steps.
`--epsilon=1e-8` shows the effect.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from tiny_experiment import training_command

RUNS = {
    "one": ["--strategy=one"],
    "mirrored": ["--strategy=mirrored", "--num_virtual_cpus=2"],
    "workers": ["--local_workers=2"],
}
BOUND = 1e-4


def losses(data_dir: Path, workdir: Path, flags: list[str]) -> list[dict[str, float]]:
    """The losses of each step of a training."""
    subprocess.run(
        training_command(data_dir, workdir, 5, "--config.train.batch_size=4", *flags),
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return [json.loads(line) for line in (workdir / "losses.jsonl").open()]


def difference(
    actual: list[dict[str, float]], expected: list[dict[str, float]]
) -> list[tuple[float, str]]:
    """The largest relative difference of a loss, and the name of that loss, step by step."""
    assert len(actual) == len(expected) == 5
    names = [name for name in expected[0] if name.startswith(("generator/", "discriminator/"))]
    assert len(names) == 5, names
    return [
        max((abs(a[name] - e[name]) / abs(e[name]), f"{name} {e[name]:.3g}") for name in names)
        for a, e in zip(actual, expected, strict=True)
    ]


def same(actual: list[dict[str, float]], expected: list[dict[str, float]]) -> bool:
    """Whether all losses agree."""
    return all(
        abs(a[name] - e[name]) <= BOUND * abs(e[name])
        for a, e in zip(actual, expected, strict=True)
        for name in e
        if name.startswith(("generator/", "discriminator/"))
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data_dir", type=Path, required=True, help="folder of a prepared paired_folder"
    )
    parser.add_argument("--epsilon", type=float, default=1e-2)
    arguments = parser.parse_args()
    epsilon = [f"--config.optimizer.epsilon={arguments.epsilon}"]
    with tempfile.TemporaryDirectory() as root:
        run = {
            name: losses(arguments.data_dir, Path(root) / name, flags + epsilon)
            for name, flags in RUNS.items()
        }
    result = {name: difference(run[name], run["one"]) for name in ("mirrored", "workers")}
    print(json.dumps({"epsilon": arguments.epsilon, "relative difference by step": result}))
    sys.exit(not all(same(run[name], run["one"]) for name in result))
