"""One of several workers that train next to nothing, for the tests; TF_CONFIG says which.

It prints a line of JSON: whether it is the chief, the steps done, the losses, and the threads of
the process after ten steps and after the last.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import tensorflow as tf

from spade_tf.training import loop
from spade_tf.training.strategy import from_chief, is_chief, make_strategy


class Echo(keras.Model):
    """Its loss is the batch; it has many collectives, as gradients would be."""

    def train_step(self, batch):
        replicas = tf.distribute.get_replica_context()
        for _ in range(10):
            replicas.all_reduce(tf.distribute.ReduceOp.SUM, tf.square(batch))
        return {"loss": tf.identity(batch)}


class Recorder(keras.callbacks.Callback):
    """Keeps losses and threads; the chief stops the training."""

    def __init__(self, chief: bool):
        super().__init__()
        self.chief = chief
        self.losses: list[float] = []
        self.threads: list[int] = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))
        if batch in (10, 50):
            self.threads.append(len(os.listdir("/proc/self/task")))
        if batch == 43 and self.chief:
            self.model.stop_training = True


def counted(context: tf.distribute.InputContext) -> tf.data.Dataset:
    """0, 1, ... of the first worker, 100, 101, ... of the second."""
    first = 100 * context.input_pipeline_id
    return tf.data.Dataset.range(first, 2**31).map(lambda number: tf.cast(number, tf.float32))


if __name__ == "__main__":
    strategy = make_strategy("auto", connect_seconds=120.0)
    recorder = Recorder(is_chief(strategy))
    with strategy.scope():
        model = Echo()
    numbers = from_chief(strategy, *([7, 0.5] if recorder.chief else [0, 0]))
    steps = loop.train(model, counted, strategy=strategy, steps=100, callbacks=[recorder])
    found = {
        "chief": recorder.chief,
        "from chief": numbers,
        "steps": steps,
        "losses": recorder.losses,
        "threads": recorder.threads,
    }
    print(json.dumps(found))
