"""The training loop: one for one device, several devices and several workers."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import keras
import tensorflow as tf

from spade_tf.training.gaugan import GauGAN
from spade_tf.training.strategy import is_multi_worker


def train(
    model: GauGAN,
    dataset: tf.data.Dataset | Callable[[tf.distribute.InputContext], tf.data.Dataset],
    *,
    strategy: tf.distribute.Strategy,
    steps: int,
    start_step: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    jit_compile: bool = False,
) -> int:
    """Runs training steps until `steps` are done, or until it is interrupted.

    Keras 3's `fit` does not run under `MultiWorkerMirroredStrategy`; this loop does, and calls
    Keras callbacks as `fit` would, with one epoch. The losses that callbacks receive are
    tensors, so that only those that look at them wait for the device. Ctrl-C and SIGTERM let the
    current step finish; callbacks then end the training as usual.

    Args:
        model: a compiled `GauGAN`, made within the strategy's scope.
        dataset: of global batches, endless, from step `start_step` on; or a function from a
            `tf.distribute.InputContext` to a worker's share of them, in batches of one replica.
        strategy: a `tf.distribute` strategy.
        steps: int, steps in all, those before `start_step` included.
        start_step: int >= 0, steps already done.
        jit_compile: bool, whether XLA compiles the step. Default False.
        callbacks: Keras callbacks. Setting `model.stop_training` ends the training.

    Returns:
        The number of steps done in all.
    """
    callback_list = keras.callbacks.CallbackList(list(callbacks), model=model)
    callback_list.set_params({"steps": steps, "epochs": 1, "start_step": start_step})
    model.stop_training = False

    replica_step = (
        tf.function(model.train_step, autograph=False, jit_compile=True) if jit_compile else None
    )
    replica_step = replica_step or model.train_step

    # Nothing in a step depends on values, so that AutoGraph would only cost time.
    @tf.function(autograph=False)
    def train_step(batch, stops):
        losses = strategy.run(replica_step, args=(batch,))
        mean = tf.distribute.ReduceOp.MEAN
        means = {name: strategy.reduce(mean, loss, axis=None) for name, loss in losses.items()}
        if workers:
            stops = strategy.run(tf.identity, args=(stops,))
            stops = strategy.reduce(tf.distribute.ReduceOp.SUM, stops, axis=None)
        return means, stops

    distribute = (
        strategy.experimental_distribute_dataset
        if isinstance(dataset, tf.data.Dataset)
        else strategy.distribute_datasets_from_function
    )
    # A worker that stops alone leaves the others waiting for it: all stop after the step that
    # follows the one by which any of them wants to.
    workers = is_multi_worker(strategy)
    stops = tf.constant(0)
    batches: Iterable = distribute(dataset)
    step = start_step
    with _stop_on_signals(model):
        callback_list.on_train_begin()
        callback_list.on_epoch_begin(0)
        logs: dict[str, tf.Tensor] = {}
        iterator = iter(batches)
        while step < steps and not (stops > 0 if workers else model.stop_training):
            callback_list.on_train_batch_begin(step)
            start = time.perf_counter()
            batch = next(iterator)
            model.seconds_waited_for_data = time.perf_counter() - start
            logs, stops = train_step(batch, tf.constant(int(model.stop_training)))
            step += 1
            callback_list.on_train_batch_end(step, logs)
        callback_list.on_epoch_end(0, logs)
        callback_list.on_train_end(logs)
    return step


@contextmanager
def _stop_on_signals(model: keras.Model) -> Iterator[None]:
    """Lets the first Ctrl-C or SIGTERM end the training after the step; a second one kills."""

    def stop(number, frame):
        model.stop_training = True
        signal.signal(number, previous[number])

    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            previous[number] = signal.signal(number, stop)
        except ValueError:
            # Only the main thread may set handlers; elsewhere the caller stops the training.
            break
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
