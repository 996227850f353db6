import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from spade_tf.training import cluster
from spade_tf.training.cluster import Cluster, Task, address, lost_tasks, read_cluster


def free_port():
    with socket.create_server(("", 0)) as holder:
        return holder.getsockname()[1]


def tf_config(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config if isinstance(config, str) else json.dumps(config))


def workers(*addresses):
    return tuple(Task("worker", number, item) for number, item in enumerate(addresses))


@pytest.mark.parametrize("text", [None, "", "  ", "{}", '{"cluster": {}}', '{"environment": "x"}'])
def test_no_cluster(text, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        tf_config(monkeypatch, text)
    assert read_cluster() is None


CHIEF = Task("chief", 0, "c:1")


@pytest.mark.parametrize(
    ("jobs", "task", "tasks", "place"),
    [
        # Values that managed services set for one machine and for several.
        ({"chief": ["c:1"]}, ("chief", 0), (CHIEF,), 0),
        ({"chief": ["c:1"], "worker": ["a:1"]}, ("chief", 0), (CHIEF, *workers("a:1")), 0),
        ({"worker": ["a:1"], "chief": ["c:1"]}, ("worker", 0), (CHIEF, *workers("a:1")), 1),
        ({"worker": ["a:1", "b:1"]}, ("worker", "1"), workers("a:1", "b:1"), 1),
        ({"worker": {"1": "b:1", "0": "a:1"}}, ("worker", 0), workers("a:1", "b:1"), 0),
        ({"worker": ["a:1"], "evaluator": ["e:1"]}, ("worker", 0), workers("a:1"), 0),
        ({"worker": ["a:1"], "chief": [], "ps": []}, ("worker", 0), workers("a:1"), 0),
    ],
)
def test_forms_of_clusters(jobs, task, tasks, place, monkeypatch):
    kind, index = task
    tf_config(monkeypatch, {"cluster": jobs, "task": {"type": kind, "index": index}})
    found = read_cluster()
    assert found == Cluster(tasks, place)
    # TensorFlow also puts the chief first, and gets no empty kind.
    assert [*found.jobs().values()] == [
        [t.address for t in tasks if t.kind == k] for k in found.jobs()
    ]
    assert found.others == tuple(t for p, t in enumerate(tasks) if p != place)


ONE = {"cluster": {"worker": ["a:1"]}}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("{", "it is not JSON .Expecting"),
        ("[]", "it must be an object"),
        ('"worker"', "it must be an object"),
        ({"cluster": ["a:1"]}, "cluster must be an object"),
        (ONE, "task must say which process this is"),
        (ONE | {"task": {"type": "worker"}}, "task must say which process this is"),
        (ONE | {"task": {"index": 0}}, "task must say which process this is"),
        (
            ONE | {"task": {"type": "worker", "index": 1}},
            "is worker 1, but the cluster only has worker 0",
        ),
        (
            ONE | {"task": {"type": "chief", "index": 0}},
            "is chief 0, but the cluster only has worker 0",
        ),
        (ONE | {"task": {"type": "worker", "index": -1}}, "a number from 0 on, not -1"),
        (ONE | {"task": {"type": "worker", "index": True}}, "a number from 0 on, not true"),
        (ONE | {"task": {"type": "worker", "index": "one"}}, 'a number from 0 on, not "one"'),
        (ONE | {"task": {"type": "ps", "index": 0}}, "parameter servers .ps. are not supported"),
        (ONE | {"task": {"type": "evaluator", "index": 0}}, "is an evaluator, but the chief"),
        (
            {"cluster": {"worker": ["a:1"], "ps": ["p:1"]}, "task": {"type": "worker", "index": 0}},
            "parameter servers .ps. are not supported",
        ),
        (
            {"cluster": {"master": ["a:1"]}, "task": {"type": "master", "index": 0}},
            "2 calls it chief",
        ),
        (
            {"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}},
            "only one chief",
        ),
        (
            {"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}},
            'host:port, not "a:1"',
        ),
        (
            {"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}},
            "host:port, not .1.",
        ),
        (
            {"cluster": {"worker": {"1": "a:1"}}, "task": {"type": "worker", "index": 0}},
            "a list of",
        ),
        (
            {"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}},
            "a:1 is named twice",
        ),
    ],
)
def test_a_cluster_that_cannot_be_used_gives_one_line(config, told, monkeypatch):
    tf_config(monkeypatch, config)
    with pytest.raises(
        ValueError, match=f"TF_CONFIG cannot be used: .*{told}.*; received "
    ) as caught:
        read_cluster()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["localhost", "a:b", ":1", "a:0", "a:65536", "a:-1", "a:²"])
def test_an_address_without_a_port_is_refused(name, monkeypatch):
    config = {"cluster": {"worker": [name]}, "task": {"type": "worker", "index": 0}}
    tf_config(monkeypatch, config)
    with pytest.raises(ValueError, match=f"a worker must be host:port: received '{name}'"):
        read_cluster()


def test_addresses():
    assert address("host:80") == ("host", 80)
    assert address("[::1]:80") == ("::1", 80)


def test_workers_find_one_another():
    both = workers(*(f"localhost:{free_port()}" for _ in range(2)))
    errors = []

    def wait(place):
        try:
            cluster.wait_for_tasks(Cluster(both, place), 20.0)
            # TensorFlow does the same.
            with socket.create_server(("", address(both[place].address)[1])):
                time.sleep(3.0)
        except (ValueError, OSError) as error:
            errors.append(error)

    threads = [threading.Thread(target=wait, args=(place,)) for place in range(2)]
    threads[0].start()
    time.sleep(0.5)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert not errors


def test_a_start_that_takes_too_long_ends_with_a_line():
    """And one that is in time goes on beyond the limit."""
    program = (
        "import time; from spade_tf.training.cluster import time_limit\n"
        "with time_limit(0.2, 'not this one'): pass\n"
        "time.sleep(0.5); print('in time', flush=True)\n"
        "with time_limit(0.2, 'too late'): time.sleep(60)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(cluster.__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert process.stdout == "in time\n"
    assert process.returncode == -signal.SIGKILL
    assert process.stderr == "too late\n"


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ("from remote target /job:worker/replica:0/task:1 while calling RecvBuf", "b:1"),
        ("Error reported from /job:chief/task:0: stopped sending heartbeats", "c:1"),
        # A process never names itself as lost.
        ("/job:worker/replica:0/task:0 lost /job:worker/replica:0/task:1", "b:1"),
        ("connection reset by peer", "c:1 or b:1"),
    ],
)
def test_the_lost_one_is_named(said, lost, monkeypatch):
    monkeypatch.setattr(cluster, "unreachable", lambda name, seconds: None)
    found = Cluster((CHIEF, *workers("a:1", "b:1")), 1)
    assert lost_tasks(found, RuntimeError(said)) == lost


def test_the_lost_one_does_not_answer():
    with socket.create_server(("", 0)) as listener:
        there, gone = f"localhost:{listener.getsockname()[1]}", f"localhost:{free_port()}"
        found = Cluster(workers("a:1", there, gone), 0)
        assert lost_tasks(found, RuntimeError("connection reset by peer")) == gone
