"""A chief and a worker on the loopback device that train a tiny model, for tests and proofs."""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[2]))

import keras
import tensorflow as tf
from small_networks import SIZE, make_small

from spade_tf.training import loop
from spade_tf.training.strategy import from_chief, is_chief, make_strategy


def train_together(*flags: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The results of chief and worker; see `main` for the flags."""
    holders = [socket.create_server(("", 0)) for _ in range(2)]
    addresses = [f"localhost:{holder.getsockname()[1]}" for holder in holders]
    for holder in holders:
        holder.close()
    jobs = {"chief": addresses[:1], "worker": addresses[1:]}
    processes = []
    for kind in jobs:
        # Some services write indices as text.
        config = json.dumps({"cluster": jobs, "task": {"type": kind, "index": "0"}})
        command = [sys.executable, __file__, *flags]
        environment = {**os.environ, "TF_CONFIG": config}
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, env=environment, text=True, **pipes))
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    chief, worker = (json.loads(out) for out, _ in said)
    return chief, worker


class Echo(keras.Model):
    """A model whose loss is the batch. It runs many collectives, as gradients would."""

    def train_step(self, batch):
        replicas = tf.distribute.get_replica_context()
        for _ in range(10):
            replicas.all_reduce(tf.distribute.ReduceOp.SUM, tf.square(batch))
        return {"loss": tf.identity(batch)}


def numbers(context: tf.distribute.InputContext) -> tf.data.Dataset:
    """0, 1, ... for the first process; 100, 101, ... for the second."""
    first = 100 * context.input_pipeline_id
    return tf.data.Dataset.range(first, 2**31).map(lambda number: tf.cast(number, tf.float32))


def pictures(context: tf.distribute.InputContext) -> tf.data.Dataset:
    """Batches of noise for `make_small`."""
    shape = (2, SIZE, SIZE)

    def batch(number):
        seed = tf.stack([tf.cast(context.input_pipeline_id, tf.int64), number])
        return {
            "image": tf.random.stateless_uniform((*shape, 3), seed, -1.0, 1.0),
            "label": tf.random.stateless_uniform(shape, seed, 0, 3, tf.int32),
        }

    return tf.data.Dataset.range(2**31).map(batch)


class Recorder(keras.callbacks.Callback):
    """Keeps losses and threads. On request, the chief pauses once, and stops."""

    def __init__(self, chief: bool, arguments: argparse.Namespace):
        super().__init__()
        self.chief, self.arguments = chief, arguments
        self.losses: list[float] = []
        self.threads: dict[int, int] = {}
        self.longest, self.last = 0.0, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if self.chief and batch == self.arguments.pause_at:
            time.sleep(self.arguments.pause)
        self.losses.append(float(sum(logs.values())))
        if batch % self.arguments.every == 0:
            self.threads[batch] = len(os.listdir("/proc/self/task"))
        if self.chief and batch == self.arguments.stop_at:
            self.model.stop_training = True
        now = time.monotonic()
        self.longest, self.last = max(self.longest, now - self.last), now


def main() -> None:
    """One process, which TF_CONFIG names; prints a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gaugan", action="store_true", help="train one of small networks")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--every", type=int, default=10, help="steps between counts of threads")
    parser.add_argument("--stop_at", type=int, help="the step by which the chief wants to stop")
    parser.add_argument("--pause_at", type=int, help="the step at which the chief stands still")
    parser.add_argument("--pause", type=float, default=0.0, help="for how many seconds")
    parser.add_argument("--connect_seconds", type=float, default=300.0)
    arguments = parser.parse_args()
    strategy = make_strategy("auto", connect_seconds=arguments.connect_seconds)
    recorder = Recorder(is_chief(strategy), arguments)
    with strategy.scope():
        model = make_small() if arguments.gaugan else Echo()
    told = from_chief(strategy, *([7, 0.5] if recorder.chief else [0, 0]))
    steps = loop.train(
        model,
        pictures if arguments.gaugan else numbers,
        strategy=strategy,
        steps=arguments.steps,
        callbacks=[recorder],
    )
    found = {
        "chief": recorder.chief,
        "from chief": told,
        "steps": steps,
        "losses": recorder.losses,
        "threads": recorder.threads,
        "longest step": recorder.longest,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
