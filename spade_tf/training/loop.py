"""The training loop, for one device, several devices and several workers."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import keras
import tensorflow as tf

from spade_tf.training.gaugan import GauGAN
from spade_tf.training.strategy import is_multi_worker

# Every so many steps, workers ask each other whether one of them wants to stop.
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
    warmup_steps: int = 0,
) -> int:
    """Runs training steps until `steps` are done, or until it is interrupted.

    Unlike Keras 3's `fit`, this loop runs under `MultiWorkerMirroredStrategy`. It calls Keras
    callbacks as `fit` does, with one epoch. Callbacks receive losses as tensors, so only a
    callback that reads them waits for the device. After Ctrl-C or SIGTERM the current step
    finishes, then callbacks end the training as usual. If one of several workers wants to stop,
    all stop after the same step, the next multiple of `STOP_INTERVAL`.

    Args:
        model: a compiled `GauGAN`, made within the strategy's scope.
        dataset: endless global batches, from step `start_step` on; or a function from a
            `tf.distribute.InputContext` to a worker's share of them, in batches of one replica.
        strategy: a `tf.distribute` strategy.
        steps: int, total number of steps, including those before `start_step`.
        start_step: int >= 0, steps already done.
        jit_compile: bool, whether XLA compiles the step. Default False.
        warmup_steps: int >= 0, how many of the steps, from the first of all on, are the model's
            `warmup_step`. Each kind of step is traced when it first comes.
        callbacks: Keras callbacks. Setting `model.stop_training` ends the training.

    Returns:
        The total number of steps done.

    Example:
        >>> import tensorflow as tf
        >>> from spade_tf import train
        >>> strategy = tf.distribute.get_strategy()
        >>> train(model, batches, strategy=strategy, steps=1500)  # doctest: +SKIP
        1500
    """
    callback_list = keras.callbacks.CallbackList(list(callbacks), model=model)
    callback_list.set_params({"steps": steps, "epochs": 1, "start_step": start_step})
    model.stop_training = False

    train_step = _distributed_step(model.train_step, strategy, jit_compile)
    # A condition within one graph could not synchronise replicas in its branches.
    warmup_step = (
        _distributed_step(model.warmup_step, strategy, jit_compile) if warmup_steps else None
    )
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
            logs = warmup_step(batch) if warmup_step and step < warmup_steps else train_step(batch)
            step += 1
            callback_list.on_train_batch_end(step, logs)
            if not workers:
                stops = model.stop_training
            elif step % STOP_INTERVAL == 0:
                # A worker that stops alone would leave the others waiting. Asking waits for the
                # device, so they do not ask at every step.
                stops = any_stops(model.stop_training)
        callback_list.on_epoch_end(0, logs)
        callback_list.on_train_end(logs)
    return step


def _distributed_step(
    step: Callable[..., dict[str, tf.Tensor]], strategy: tf.distribute.Strategy, jit_compile: bool
) -> Callable[..., dict[str, tf.Tensor]]:
    """A step on all replicas, as a function that gives the means of their losses."""
    replica_step = tf.function(step, autograph=False, jit_compile=True) if jit_compile else step

    # No control flow in a step depends on tensor values, so AutoGraph would only cost time.
    @tf.function(autograph=False)
    def distributed_step(batch):
        losses = strategy.run(replica_step, args=(batch,))
        mean = tf.distribute.ReduceOp.MEAN
        return {name: strategy.reduce(mean, loss, axis=None) for name, loss in losses.items()}

    return distributed_step


def _any_worker(strategy: tf.distribute.Strategy) -> Callable[[bool], bool]:
    """A function that tells every worker whether any worker passes True. All must call it."""

    @tf.function(autograph=False)
    def count(wanted):
        wanted = strategy.run(tf.identity, args=(wanted,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, wanted, axis=None)

    return lambda wanted: float(count(tf.constant(float(wanted)))) > 0


def _distributed(dataset, strategy: tf.distribute.Strategy) -> Iterable:
    if isinstance(dataset, tf.data.Dataset):
        return strategy.experimental_distribute_dataset(dataset)

    def endless(context: tf.distribute.InputContext) -> tf.data.Dataset:
        # With a finite data set, workers would ask each other before each step who has a batch.
        infinite = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return dataset(context).apply(infinite)

    return strategy.distribute_datasets_from_function(endless)


@contextmanager
def _stop_on_signals(model: keras.Model) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the training after the step; a second one kills it."""

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
