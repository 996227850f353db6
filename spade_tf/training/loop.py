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

# Steps between two looks at whether any of several workers wants to stop.
STOP_INTERVAL = 10


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
    current step finish; callbacks then end the training as usual. Of several workers, all stop
    after the same step once any of them wants to: the next multiple of `STOP_INTERVAL`.

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
    def train_step(batch):
        losses = strategy.run(replica_step, args=(batch,))
        mean = tf.distribute.ReduceOp.MEAN
        return {name: strategy.reduce(mean, loss, axis=None) for name, loss in losses.items()}

    workers = is_multi_worker(strategy)
    any_stops = _any_worker(strategy)
    batches = _distributed(dataset, strategy)
    step = start_step
    with _stop_on_signals(model):
        callback_list.on_train_begin()
        callback_list.on_epoch_begin(0)
        logs: dict[str, tf.Tensor] = {}
        iterator = iter(batches)
        stops = model.stop_training and not workers
        while step < steps and not stops:
            callback_list.on_train_batch_begin(step)
            start = time.perf_counter()
            batch = next(iterator)
            model.seconds_waited_for_data = time.perf_counter() - start
            logs = train_step(batch)
            step += 1
            callback_list.on_train_batch_end(step, logs)
            if not workers:
                stops = model.stop_training
            elif step % STOP_INTERVAL == 0:
                # A worker that stops alone would leave the others waiting for it. Whoever looks
                # waits for the device, hence not at every step.
                stops = any_stops(model.stop_training)
        callback_list.on_epoch_end(0, logs)
        callback_list.on_train_end(logs)
    return step


def _any_worker(strategy: tf.distribute.Strategy) -> Callable[[bool], bool]:
    """A function that tells every worker whether any of them gives True; all must call it."""

    @tf.function(autograph=False)
    def count(wanted):
        wanted = strategy.run(tf.identity, args=(wanted,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, wanted, axis=None)

    return lambda wanted: float(count(tf.constant(float(wanted)))) > 0


def _distributed(dataset, strategy: tf.distribute.Strategy) -> Iterable:
    if isinstance(dataset, tf.data.Dataset):
        return strategy.experimental_distribute_dataset(dataset)

    def endless(context: tf.distribute.InputContext) -> tf.data.Dataset:
        # If there were an end, workers would ask one another before each step who has a batch.
        infinite = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return dataset(context).apply(infinite)

    return strategy.distribute_datasets_from_function(endless)


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
