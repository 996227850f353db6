import json
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from spade_tf.training import callbacks, loop
from spade_tf.training.strategy import check_batch_size


class Counting(keras.Model):
    """Stands in for GauGAN: adds up the means of batches."""

    def __init__(self):
        super().__init__()
        self.total = self.add_weight(
            shape=(), initializer="zeros", trainable=False, aggregation="mean", name="total"
        )

    def train_step(self, batch):
        self.total.assign_add(tf.reduce_mean(batch))
        return {"loss": tf.reduce_mean(batch)}


class Recorder(keras.callbacks.Callback):
    def __init__(self, stop_at=None, interrupt_at=None):
        super().__init__()
        self.events, self.losses = [], []
        self.stop_at, self.interrupt_at = stop_at, interrupt_at

    def on_train_begin(self, logs=None):
        self.events.append("begin")

    def on_train_end(self, logs=None):
        self.events.append("end")

    def on_train_batch_end(self, batch, logs=None):
        self.events.append(batch)
        self.losses.append(float(logs["loss"]))
        if batch == self.stop_at:
            self.model.stop_training = True
        if batch == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)


def batches():
    return tf.data.Dataset.range(1, 1_000_000).map(lambda i: tf.cast(i, tf.float32)).batch(2, True)


def run(recorder, strategy, **kwargs):
    with strategy.scope():
        model = Counting()
    done = loop.train(
        model, batches(), strategy=strategy, callbacks=[recorder], **{"steps": 3, **kwargs}
    )
    return model, done


@pytest.mark.parametrize("replicas", [1, 2])
def test_losses_are_means_over_the_global_batch(replicas, two_replicas):
    strategy = two_replicas if replicas == 2 else tf.distribute.get_strategy()
    recorder = Recorder()
    model, done = run(recorder, strategy)
    assert done == 3
    assert recorder.events == ["begin", 1, 2, 3, "end"]
    assert recorder.losses == [1.5, 3.5, 5.5]
    assert model.total.numpy() == 10.5


def test_steps_count_from_the_start_step():
    recorder = Recorder()
    assert run(recorder, tf.distribute.get_strategy(), start_step=2)[1] == 3
    assert recorder.events == ["begin", 3, "end"]


def test_a_callback_can_stop():
    assert run(Recorder(stop_at=2), tf.distribute.get_strategy())[1] == 2


def test_an_interrupt_ends_after_the_step_and_restores_the_handler():
    before = signal.getsignal(signal.SIGINT)
    recorder = Recorder(interrupt_at=1)
    assert run(recorder, tf.distribute.get_strategy())[1] == 1
    assert recorder.events[-1] == "end"
    assert signal.getsignal(signal.SIGINT) is before


def test_workers_ask_one_another_every_ten_steps_alone(monkeypatch):
    monkeypatch.setattr(loop, "is_multi_worker", lambda strategy: True)
    # Steps are counted over all runs, so a worker that joins again asks at the same steps.
    for stop_at, end in ((10, 10), (13, 20)):
        recorder = Recorder(stop_at=stop_at)
        assert run(recorder, tf.distribute.get_strategy(), steps=40, start_step=4)[1] == end


def test_json_lines_drop_what_a_resumed_run_does_again(tmp_path):
    path = tmp_path / "losses.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    model = Counting()
    strategy = tf.distribute.get_strategy()
    lines = callbacks.JsonLines(path, every=2)
    loop.train(model, batches(), strategy=strategy, steps=5, start_step=2, callbacks=[lines])
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2, 4, 5]
    np.testing.assert_allclose(records[-1]["loss"], 5.5)


def test_a_batch_must_divide_among_devices(two_replicas):
    check_batch_size(4, two_replicas)
    for size in (1, 3):
        with pytest.raises(ValueError, match=f"received {size}; the nearest is"):
            check_batch_size(size, two_replicas)
