"""Where the time of a training step goes: `python tests/proofs/step_profile.py --output=FILE`.

Trains the networks that `landscapes` had first (128x128, 4 pictures, 16 filters, nearest
upsampling, PatchGAN) as `train` does, and writes a JSON with milliseconds of a step, by operation,
summed over threads. With PYTHONPATH at an older version of the project it measures that one: two
runs by turns compare them. The times mean something on a quiet machine alone.
"""

import argparse
import importlib
import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
if not os.environ.get("PYTHONPATH"):
    sys.path.insert(0, str(Path(__file__).parents[2]))

from operation_times import milliseconds_by_operation

LEAST_MILLISECONDS = 2.0


def module(*places: str):
    """The first of some modules that there is."""
    for place in places:
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if not place.startswith(str(error.name)):
                raise
    raise ImportError(places)


def as_first(config):
    """The settings that `landscapes` began with."""
    values = {
        "generator": {"hidden_filters": 32, "upsampling": "nearest", "padding": "zeros"},
        "discriminator": {"architecture": "patch"},
        "loss": {"perceptual_weight": 0.0, "feature_matching_weight": 10.0, "l1_weight": 0.0},
        "train": {"augment": ""},
    }
    for section, settings in values.items():
        for name, value in settings.items():
            if hasattr(getattr(config, section), name):
                setattr(getattr(config, section), name, value)
    return config


def batch():
    """Four landscapes."""
    import tensorflow as tf

    from pipelines.landscapes import render

    drawn = [render(0, index, 128, 128) for index in range(4)]
    image = np.stack([each.image for each in drawn]).astype("float32") / 127.5 - 1.0
    maps = {
        name: tf.constant(np.stack([getattr(each, name) for each in drawn]), tf.int32)
        for name in ("label", "instance")
    }
    return {"image": tf.constant(image), **maps}


def main(output: Path, steps: int, plain: bool) -> None:
    """Trains, times, profiles."""
    if not plain:
        # As `train` does on processors.
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    import tensorflow as tf

    if not plain:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    landscapes = importlib.import_module("experiments.landscapes")
    config = as_first(getattr(landscapes, "paper_losses", landscapes.get_config)())
    names, palette = (
        getattr(importlib.import_module("pipelines.landscapes"), name)
        for name in ("CLASS_NAMES", "PALETTE")
    )
    labels = importlib.import_module("pipelines.schema").LabelSet(names, palette, False, True)
    gan = module("experiments.assemble", "experiments.setup.assemble").make_gaugan(config, labels)
    step, given = tf.function(gan.train_step, autograph=False), batch()

    def run():
        return {name: float(loss) for name, loss in step(given).items()}

    start = time.perf_counter()
    run()
    first = time.perf_counter() - start
    taken = []
    for _ in range(steps):
        start = time.perf_counter()
        run()
        taken.append(1e3 * (time.perf_counter() - start))
    sums = milliseconds_by_operation(run)
    result = {
        "first_step_seconds": round(first, 2),
        "step_milliseconds": round(statistics.median(taken), 1),
        "operations_run": sum(map(len, sums.values())),
        "operations": {
            kind: {"milliseconds": round(sum(each), 1), "calls": len(each)}
            for kind, each in sorted(sums.items(), key=lambda item: -sum(item[1]))
            if sum(each) >= LEAST_MILLISECONDS
        },
    }
    output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({name: value for name, value in result.items() if name != "operations"}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument(
        "--plain", action="store_true", help="with TensorFlow's defaults, as older versions trained"
    )
    arguments = parser.parse_args()
    main(arguments.output, arguments.steps, arguments.plain)
