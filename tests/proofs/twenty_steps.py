"""Proof that a training step still computes what it did: `tests/proofs/twenty_steps.py`.

Trains a small model for 20 steps with this code and with that of an earlier commit, from the same
weights, and compares all losses. In float32, rounding alone makes two trainings part within a few
steps: the earlier code with other kernels parts from itself. So both copies of the code are changed
to compute in float64, where rounding stays far below the tolerance.

`--before` is the commit that steps are compared with. What was changed on purpose since it is
changed in its copy, too: see `CHANGED`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASE_STEPS, STEPS, TOLERANCE = 200, 20, 1e-5

# Text of the code, and what computes the same in float64.
DOUBLE = {
    # These have no dtype of their own.
    "tf.zeros([])": "tf.zeros([], tf.float64)",
    "tf.minimum(self.decay,": "tf.minimum(tf.constant(self.decay, tf.float64),",
    # TensorFlow has no batch norm of float64 in one operation. The other branch computes the same.
    "not training or (self.synchronized and several)": "True",
}
# Each example's noise has had another seed since: a draw of one step could equal that of another.
CHANGED = {
    "tf.stack([self.seed * 2 + draw, tf.cast(self.step, tf.int32)])": (
        "tf.stack([tf.constant(self.seed, tf.int64),"
        " tf.cast(self.step, tf.int64) * 2**16 + 2 * draw])"
    )
}
# The same networks and losses by the names of each copy.
EXPERIMENTS = {
    "before": """
from experiments.landscapes import get_config
""",
    "now": """
from experiments.landscapes import paper_losses

def get_config():
    config = paper_losses()
    config.generator.upsampling, config.generator.padding = "nearest", "zeros"
    config.loss.feature_matching_weight, config.loss.l1_weight = 10.0, 0.0
    config.loss.kl_weight = 0.01
    return config
""",
}
SIZES = {
    **{f"data.{key}": 64 for key in ("height", "width", "load_height", "load_width")},
    **{f"{network}.filters": 4 for network in ("generator", "encoder")},
    **{"generator.hidden_filters": 8, "discriminator.filters": 8},
    **{"optimizer.decay_steps": 0, "train.batch_size": 2, "train.log_every": 1},
    **{"train.sample_every": 10_000, "train.checkpoint_every": 10_000, "train.deterministic": True},
}
# The paper's. The demonstration's own are higher, and let differences grow faster.
RATES = [
    "--config.optimizer.generator_learning_rate=1e-4",
    "--config.optimizer.discriminator_learning_rate=4e-4",
]


def in_double_precision(commit: str, tree: Path) -> None:
    """Copies the code of a commit, and makes it compute in float64."""
    tree.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "x", "-C", str(tree)], input=archive.stdout, check=True)
    for path in [*tree.glob("spade_tf/**/*.py"), *tree.glob("experiments/**/*.py")]:
        text = re.sub(r"\bfloat32\b", "float64", path.read_text())
        for old, new in (DOUBLE | CHANGED).items():
            text = text.replace(old, new)
        path.write_text(text)


def train(root: Path, name: str, workdir: str, steps: int, *flags: str) -> list[dict]:
    """Trains with one of the copies. Returns what was logged of each step."""
    experiment = root / f"{name}_experiment.py"
    experiment.write_text(EXPERIMENTS[name])
    keras_home = root / "keras"
    keras_home.mkdir(exist_ok=True)
    (keras_home / "keras.json").write_text(json.dumps({"floatx": "float64"}))
    environment = {"PYTHONPATH": str(root / name), "KERAS_HOME": str(keras_home)}
    command = [sys.executable, str(root / name / "run.py"), "train", f"--config={experiment}"]
    settings = [f"--config.{key}={value}" for key, value in SIZES.items()]
    settings += [f"--config.train.steps={steps}", f"--workdir={root / workdir}", "--strategy=one"]
    subprocess.run(
        [*command, *settings, f"--data_dir={root / 'data'}", *flags],
        check=True,
        env=os.environ | environment,
        stderr=subprocess.DEVNULL,
    )
    return [json.loads(line) for line in (root / workdir / "losses.jsonl").read_text().splitlines()]


def prove(before: str, root: Path) -> list[float]:
    """The largest relative difference of any loss, by step."""
    sizes = ["--height=64", "--width=64", "--num_train=40", "--num_val=8"]
    prepare = [sys.executable, str(ROOT / "run.py"), "prepare", "--dataset=landscapes", *sizes]
    subprocess.run([*prepare, f"--data_dir={root / 'data'}"], check=True)
    for name, commit in (("before", before), ("now", "HEAD")):
        in_double_precision(commit, root / name)
    train(root, "before", "base", BASE_STEPS)
    logs = [
        train(root, name, f"{name}_run", STEPS, f"--init_from={root / 'base'}", *RATES)
        for name in ("before", "now")
    ]
    differences = []
    for then, now in zip(*logs, strict=True):
        losses = [key for key in then if "/" in key and not key.startswith("sample")]
        differences.append(max(abs(now[key] - then[key]) / abs(then[key]) for key in losses))
    assert len(differences) == STEPS
    return differences


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", default="e18e60b", help="commit to compare with")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = prove(arguments.before, Path(folder))
    for number, difference in enumerate(found, 1):
        print(f"step {number}: {difference:.1e}")
    print(f"largest relative difference: {max(found):.1e}, allowed {TOLERANCE:.0e}")
    sys.exit(max(found) > TOLERANCE)
