import json
import socket
import threading
import time

import pytest
import tensorflow as tf

from spade_tf.training import strategy
from spade_tf.training.strategy import lost_worker, make_strategy


def tf_config(monkeypatch, workers, index=0, kind="worker"):
    config = {"cluster": {"worker": workers}, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


def free_port():
    with socket.create_server(("", 0)) as holder:
        return holder.getsockname()[1]


def test_by_name(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert make_strategy("one") is tf.distribute.get_strategy()
    with pytest.raises(ValueError, match=r"strategy must be one of auto, one, .*: received 'two'"):
        make_strategy("two")
    with pytest.raises(ValueError, match="multi_worker_mirrored needs TF_CONFIG"):
        make_strategy("multi_worker_mirrored")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "JSONDecodeError"),
        ('{"cluster": {}}', "KeyError: 'worker'"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "no task"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "no task"),
    ],
)
def test_an_environment_that_cannot_be_used(text, told, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=f"TF_CONFIG cannot be used .*{told}.*received"):
        make_strategy("auto")


def test_a_worker_that_does_not_answer_is_named_in_time(monkeypatch):
    mine, other = (f"localhost:{free_port()}" for _ in range(2))
    tf_config(monkeypatch, [mine, other, "no-such-host.invalid:22"])
    with pytest.raises(ValueError, match=f"{other} .*no-such-host.invalid:22 .*within 0.5 s"):
        make_strategy("auto", connect_seconds=0.5)


def test_an_address_without_a_port_is_refused(monkeypatch):
    tf_config(monkeypatch, ["localhost", "localhost:1"])
    with pytest.raises(ValueError, match="a worker must be host:port: received 'localhost'"):
        make_strategy("auto")


def test_a_port_that_is_taken_is_refused(monkeypatch):
    with socket.create_server(("", 0)) as holder:
        mine = f"localhost:{holder.getsockname()[1]}"
        tf_config(monkeypatch, [mine, "localhost:1"])
        with pytest.raises(ValueError, match=f"{mine}, which is this worker, .*give a free port"):
            make_strategy("auto")


def test_workers_find_one_another():
    workers = [f"localhost:{free_port()}" for _ in range(2)]
    errors = []

    def wait(index):
        try:
            strategy._wait_for_workers(workers, index, 20.0)
            # As TensorFlow would.
            with socket.create_server(("", strategy._address(workers[index])[1])):
                time.sleep(3.0)
        except (ValueError, OSError) as error:
            errors.append(error)

    threads = [threading.Thread(target=wait, args=(index,)) for index in range(2)]
    threads[0].start()
    time.sleep(0.5)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert not errors


def test_the_lost_worker_is_named(monkeypatch):
    tf_config(monkeypatch, ["a:1", "b:2", "c:3"], index=1)
    down = "cluster check alive failed, /job:worker/replica:0/task:2 is down"
    assert lost_worker(RuntimeError(down)) == "c:3"
    assert lost_worker(RuntimeError("connection reset by peer")) == "a:1 or c:3"
    assert not strategy.is_multi_worker(tf.distribute.get_strategy())
