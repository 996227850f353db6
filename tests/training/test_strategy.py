import json
import socket

import pytest
import tensorflow as tf
from worker_process import train_together

from spade_tf.training import strategy
from spade_tf.training.strategy import from_chief, is_chief, lost_worker, make_strategy


def tf_config(monkeypatch, cluster, kind="worker", index=0):
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
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


@pytest.mark.parametrize("cluster", [{"chief": ["c:1"]}, {"worker": ["c:1"]}, {}])
def test_a_cluster_of_one_is_this_machine(cluster, monkeypatch, two_replicas):
    tf_config(monkeypatch, cluster, kind=next(iter(cluster), "worker"))
    assert make_strategy("auto") is two_replicas
    assert make_strategy("one") is tf.distribute.get_strategy()
    assert is_chief(two_replicas)


@pytest.mark.parametrize("name", ["one", "mirrored"])
def test_several_workers_do_not_train_each_alone(name, monkeypatch):
    tf_config(monkeypatch, {"worker": ["a:1", "b:1"]})
    with pytest.raises(
        ValueError, match=f"strategy={name} trains on .* names 2 workers; give auto"
    ):
        make_strategy(name)


def test_an_environment_that_cannot_be_used(monkeypatch):
    tf_config(monkeypatch, {"worker": ["a:1"], "ps": ["p:1"]})
    with pytest.raises(ValueError, match=r"TF_CONFIG cannot be used: parameter servers"):
        make_strategy("auto")


def test_a_worker_that_does_not_answer_is_named_in_time(monkeypatch):
    mine, other = (f"localhost:{free_port()}" for _ in range(2))
    tf_config(monkeypatch, {"chief": [other], "worker": [mine, "no-such-host.invalid:22"]})
    with pytest.raises(ValueError, match=f"{other} .*no-such-host.invalid:22 .*within 0.5 s"):
        make_strategy("auto", connect_seconds=0.5)


def test_a_port_that_is_taken_is_refused(monkeypatch):
    with socket.create_server(("", 0)) as holder:
        mine = f"localhost:{holder.getsockname()[1]}"
        tf_config(monkeypatch, {"worker": [mine, "localhost:1"]})
        with pytest.raises(ValueError, match=f"cannot listen on its address {mine} .*a free port"):
            make_strategy("auto")


def test_collectives_have_no_time_limit(monkeypatch):
    made = []
    tf_config(monkeypatch, {"chief": ["c:1"], "worker": ["a:1"], "evaluator": ["e:1"]})
    monkeypatch.setattr(strategy, "wait_for_tasks", lambda cluster, seconds: None)
    monkeypatch.setattr(
        tf.distribute, "MultiWorkerMirroredStrategy", lambda **options: made.append(options)
    )
    make_strategy("auto")
    (options,) = made
    limits = options.get("communication_options")
    # TensorFlow would make a thread per collective that sleeps until the time limit.
    assert limits is None or not limits.timeout_seconds
    resolver = options["cluster_resolver"]
    assert resolver.cluster_spec().as_dict() == {"chief": ["c:1"], "worker": ["a:1"]}
    assert (resolver.task_type, resolver.task_id) == ("worker", 0)


def test_the_lost_worker_is_named(monkeypatch):
    def error(kind, message):
        return kind(None, None, message)

    tf_config(monkeypatch, {"worker": ["a:1", "b:2", "c:3"]}, index=1)
    down = error(tf.errors.UnavailableError, "/job:worker/replica:0/task:2 stopped")
    assert lost_worker(down) == "c:3"
    aborted = "Collective ops is aborted by: heartbeat of /job:worker/task:0"
    assert lost_worker(error(tf.errors.InternalError, aborted)) == "a:1"
    # An error of this process itself names no lost worker.
    assert lost_worker(error(tf.errors.ResourceExhaustedError, "out of memory")) is None
    monkeypatch.delenv("TF_CONFIG")
    assert lost_worker(down) is None
    assert not strategy.is_multi_worker(tf.distribute.get_strategy())


def test_numbers_of_the_chief_are_its_own_where_it_is_alone():
    assert from_chief(tf.distribute.get_strategy(), 3, 0.25) == [3, 0.25]


@pytest.mark.distributed
def test_a_chief_and_a_worker_train_together():
    chief, worker = train_together("--stop_at=43")
    assert (chief["chief"], worker["chief"]) == (True, False)
    for found in (chief, worker):
        # The chief asks to stop by step 43: both do after step 50.
        assert found["steps"] == 50
        # The means over both of the numbers that each counts, from 0 and from 100 on.
        assert found["losses"] == [50.0 + step for step in range(50)]
        assert found["from chief"] == [7.0, 0.5]
        # One thread per collective would be a few hundred.
        assert found["threads"]["50"] - found["threads"]["10"] < 40, found
