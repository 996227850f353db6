"""Half precision beside float32: `python tests/precision_proof.py --data_dir DIR --output FILE`.

Two models of the built-in landscapes start from the same weights and are trained on the same
batches, by turns, so that whatever else the machine does is in the times of both. Writes a line per
step with the losses and seconds of both, and at last the summary. With `--plot=FILE.png` (needs
matplotlib) it draws the losses, averaged over 25 steps.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

PRECISIONS = ("float32", "mixed_bfloat16")
WINDOW = 25


def run(data_dir: Path, steps: int, output: Path) -> None:
    """Trains both and writes the lines."""
    import tensorflow as tf

    from experiments.assemble import make_batches, make_gaugan
    from experiments.landscapes import get_config
    from pipelines.prepare import label_set, open_dataset

    config = get_config()
    builder = open_dataset("landscapes", data_dir)
    functions = {}
    for precision in PRECISIONS:
        config.train.precision = precision
        model = make_gaugan(config, label_set(builder))
        functions[precision] = tf.function(model.train_step, autograph=False)
    batches = make_batches(config, builder, "train", training=True, batch_size=4)
    with output.open("w") as file:
        for step, batch in enumerate(batches.take(steps), 1):
            line: dict[str, object] = {"step": step}
            for precision in PRECISIONS if step % 2 else reversed(PRECISIONS):
                start = time.perf_counter()
                losses = functions[precision](batch)
                values = {name: float(loss) for name, loss in losses.items()}
                line[precision] = {"seconds": time.perf_counter() - start} | values
            file.write(json.dumps(line) + "\n")
            file.flush()


def summary(lines: list[dict]) -> dict[str, object]:
    """The ratio of step times, and how far the averaged losses are apart."""
    names = [name for name in lines[0]["float32"] if name != "seconds"]
    ratios = [line["mixed_bfloat16"]["seconds"] / line["float32"]["seconds"] for line in lines[5:]]
    apart = {}
    for name in names:
        one, other = (averages(lines, precision, name) for precision in PRECISIONS)
        apart[name] = max(
            abs(a - b) / (abs(a) + abs(b)) * 2 for a, b in zip(one, other, strict=True)
        )
    return {
        "steps": len(lines),
        "bfloat16 / float32 seconds of a step, median": statistics.median(ratios),
        "largest relative difference of averages over 25 steps": apart,
    }


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
        for precision, style in zip(PRECISIONS, ("-", "--"), strict=True):
            values = averages(lines, precision, name)
            steps = [WINDOW * (index + 1) for index in range(len(values))]
            axis.plot(steps, values, style, label=precision.removeprefix("mixed_"))
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.set_ylim(bottom=0)
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, help="of prepared landscapes; none: plot alone")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    if arguments.data_dir:
        run(arguments.data_dir, arguments.steps, arguments.output)
    read = [json.loads(line) for line in arguments.output.open()]
    print(json.dumps(summary(read), indent=1))
    if arguments.plot:
        plot(read, arguments.plot)
