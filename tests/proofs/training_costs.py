"""Measures the training loop's own time, and memory: `python tests/proofs/training_costs.py`.

`loop`: seconds per step that `loop.train` adds, beside those of a compiled step. `memory`: peak
resident memory of a process that makes two training steps, without and with rematerialisation and
accumulation.
"""

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[2]))

_EMPTY_STEPS = 200


def _model(size, filters, **settings):
    from tiny_experiment import get_config

    from experiments.setup.assemble import make_gaugan
    from pipelines.schema import LabelSet

    config = get_config()
    config.data.height = config.data.width = config.data.load_height = config.data.load_width = size
    config.data.use_instance = False
    config.generator.filters, config.generator.hidden_filters = filters, 4 * filters
    config.discriminator.filters = config.encoder.filters = filters
    config.train.batch_size = settings.pop("batch_size")
    for name, value in settings.items():
        setattr(config.train, name, value)
    labels = LabelSet(
        class_names=tuple(f"class {index}" for index in range(10)),
        palette=((0, 0, 0),) * 10,
        has_unknown=False,
        has_instance=False,
    )
    return make_gaugan(config, labels)


def _batch(size, batch_size):
    import tensorflow as tf

    # Blocks of 16 pixels are about as smooth as label maps.
    label = tf.random.stateless_uniform(
        [batch_size, size // 16, size // 16], (0, 0), 0, 10, tf.int32
    )
    return {
        "image": tf.random.stateless_uniform([batch_size, size, size, 3], (0, 1), -1.0, 1.0),
        "label": tf.repeat(tf.repeat(label, 16, 1), 16, 2),
    }


def measure_loop(steps: int, size: int, filters: int, batch_size: int) -> dict[str, float]:
    """Seconds per step that the loop itself adds, with the callbacks of a training.

    Real steps vary by more than this. So the loop runs with an empty step, in turns with direct
    calls of the empty step. A real step is timed for comparison.
    """
    import statistics
    import tempfile

    import tensorflow as tf

    from spade_tf.training import callbacks, loop

    model, batch = _model(size, filters, batch_size=batch_size), _batch(size, batch_size)
    strategy = tf.distribute.get_strategy()
    seconds: dict[str, list[float]] = {"step": [], "empty": [], "loop": []}
    real = tf.function(model.train_step, autograph=False)
    for _ in range(2 + steps):
        start = time.perf_counter()
        names = list(real(batch))
        seconds["step"].append(time.perf_counter() - start)
    del seconds["step"][:2]  # These trace and allocate.

    @tf.function(autograph=False)
    def empty(batch):
        return {name: tf.reduce_mean(batch["image"][0, 0, 0]) for name in names}

    marks = []

    class Clock(callbacks.StopOnNonFinite):
        def on_train_batch_begin(self, batch, logs=None):
            marks.append(time.perf_counter())

    model.train_step = empty
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(3):
            for _ in range(_EMPTY_STEPS):
                start = time.perf_counter()
                empty(batch)
                seconds["empty"].append(time.perf_counter() - start)
            marks.clear()
            loop.train(
                model,
                dataset,
                strategy=strategy,
                steps=_EMPTY_STEPS + 2,
                callbacks=[
                    Clock([10]),
                    callbacks.JsonLines(Path(folder) / "losses.jsonl", 10),
                    callbacks.ProgressBar(2, 10),
                ],
            )
            # The first two trace, and start the reading of data.
            times = itertools.pairwise(marks[2:])
            seconds["loop"] += [after - before for before, after in times]
    # Means, so that work done every ten steps counts too.
    means = {name: statistics.fmean(values) for name, values in seconds.items()}
    return means | {"overhead": (means["loop"] - means["empty"]) / means["step"]}


def measure_memory(size: int, filters: int, batch_size: int) -> list[dict[str, object]]:
    """Peak resident memory and seconds of a step, one process each."""
    result = []
    for settings in ({}, {"rematerialize": True}, {"accumulation_steps": 4}):
        task = {"size": size, "filters": filters, "batch_size": batch_size} | settings
        output = subprocess.run(
            [sys.executable, __file__, "one", json.dumps(task)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        result.append(settings | json.loads(output.splitlines()[-1]))
    return result


def _one(task: dict) -> None:
    import tensorflow as tf

    size, filters = task.pop("size"), task.pop("filters")
    batch = _batch(size, task["batch_size"])
    model = _model(size, filters, **task)
    step = tf.function(model.train_step, autograph=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    losses = step(batch)
    start = time.perf_counter()
    losses = step(batch)
    result = {name: round(float(loss), 5) for name, loss in losses.items()}
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "MiB": peak // 1024,
                "MiB above start": (peak - before) // 1024,
                "seconds": round(seconds, 2),
                "losses": result,
            }
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["loop", "memory", "one"])
    parser.add_argument("task", nargs="?")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--batch_size", type=int, default=8)
    options = parser.parse_args()
    model = (options.size, options.filters, options.batch_size)
    if options.what == "loop":
        print(json.dumps(measure_loop(options.steps, *model), indent=1))
    elif options.what == "memory":
        for line in measure_memory(*model):
            print(json.dumps(line))
    else:
        _one(json.loads(options.task))
