"""Half precision beside float32: `python tests/proofs/precision.py --data_dir DIR --output FILE`.

Two models of the built-in landscapes start from the same weights and are trained on the same
batches. They take turns, so that other work on the machine slows both alike. Writes a line per step
with the losses and seconds of both, and then a summary.

GANs are chaotic: two float32 trainings that differ only by rounding diverge too. `--twin` adds a
float32 training from weights changed by a millionth to the lines of an earlier run. Compare half
precision with how far this twin moves. `--plot=FILE.png` (needs matplotlib) draws the losses,
averaged over 50 steps.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[2]))

PRECISIONS = ("float32", "mixed_bfloat16")
TWIN = "float32 twin"
OTHERS = ("mixed_bfloat16", TWIN)
WINDOW = 50


def train(data_dir: Path, size: int, names: Sequence[str], lines: list[dict], output: Path) -> None:
    """Trains the models in turns, one step per line; writes the lines with losses and seconds."""
    import tensorflow as tf

    from experiments.landscapes import get_config
    from experiments.setup.assemble import make_batches, make_gaugan
    from pipelines.reading.prepared import label_set, open_dataset

    config = get_config()
    config.data.load_height = config.data.load_width = size
    config.data.height = config.data.width = size
    builder = open_dataset("landscapes", data_dir)
    functions = {}
    for name in names:
        config.train.precision = "float32" if name == TWIN else name
        model = make_gaugan(config, label_set(builder))
        if name == TWIN:
            for variable in model.trainable_variables:
                variable.assign(variable * (1.0 + 1e-6))
        functions[name] = tf.function(model.train_step, autograph=False)
    batches = make_batches(config, builder, "train", training=True, batch_size=4)
    partial = output.with_suffix(".part")
    with partial.open("w") as file:
        for line, batch in zip(lines, batches, strict=False):
            for name in names if line["step"] % 2 else reversed(names):
                start = time.perf_counter()
                losses = functions[name](batch)
                values = {key: float(loss) for key, loss in losses.items()}
                line[name] = {"seconds": time.perf_counter() - start} | values
            file.write(json.dumps(line) + "\n")
            file.flush()
    partial.replace(output)


def summary(lines: list[dict]) -> dict[str, object]:
    """The ratio of step times, and the differences of the averaged losses."""
    losses = [name for name in lines[0]["float32"] if name != "seconds"]
    ratios = [line["mixed_bfloat16"]["seconds"] / line["float32"]["seconds"] for line in lines[5:]]
    result: dict[str, object] = {
        "steps": len(lines),
        "bfloat16 / float32 seconds of a step, median": statistics.median(ratios),
    }
    for other in OTHERS:
        if other in lines[0]:
            result[f"largest difference of averages over {WINDOW} steps, {other}"] = {
                loss: max(
                    abs(a - b)
                    for a, b in zip(
                        averages(lines, "float32", loss), averages(lines, other, loss), strict=True
                    )
                )
                for loss in losses
            }
    return result


def read(path: Path) -> list[dict]:
    """The lines of a file."""
    return [json.loads(line) for line in path.open()]


def averages(lines: list[dict], precision: str, name: str) -> list[float]:
    """Means over windows."""
    values = [line[precision][name] for line in lines]
    return [
        statistics.fmean(values[start : start + WINDOW])
        for start in range(0, len(values) - WINDOW + 1, WINDOW)
    ]


def plot(lines: list[dict], path: Path) -> None:
    """Draws the averaged losses side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [name for name in lines[0]["float32"] if name != "seconds"]
    figure, axes = pyplot.subplots(1, len(names), figsize=(3.1 * len(names), 2.8))
    for axis, name in zip(axes, names, strict=True):
        for precision, style in zip(("float32", *OTHERS), ("-", "--", ":"), strict=True):
            if precision in lines[0]:
                values = averages(lines, precision, name)
                steps = [WINDOW * (index + 1) for index in range(len(values))]
                axis.plot(steps, values, style, label=precision.removeprefix("mixed_"))
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
        low, high = axis.get_ylim()
        axis.set_ylim(min(low, 0.0), high)
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, help="prepared landscapes; leave out to plot only")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--size", type=int, default=128, help="height and width of the pictures")
    parser.add_argument("--twin", action="store_true", help="add a twin to the lines of --output")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    if arguments.data_dir:
        if arguments.twin:
            names, lines = (TWIN,), read(arguments.output)
        else:
            names, lines = PRECISIONS, [{"step": step + 1} for step in range(arguments.steps)]
        train(arguments.data_dir, arguments.size, names, lines, arguments.output)
    print(json.dumps(summary(read(arguments.output)), indent=1))
    if arguments.plot:
        plot(read(arguments.output), arguments.plot)
