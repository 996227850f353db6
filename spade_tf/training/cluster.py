"""The processes that train together, read from the environment variable TF_CONFIG."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)

STRATEGIES = ("auto", "one", "mirrored", "multi_worker_mirrored", "tpu")


class Task(NamedTuple):
    """One process.

    Attributes:
        kind: "chief" or "worker".
        number: int >= 0, its index among those of its kind.
        address: "host:port", where it listens.
    """

    kind: str
    number: int
    address: str


class Cluster(NamedTuple):
    """All processes that train together.

    Attributes:
        tasks: the chief if there is one, then the workers. The first one writes.
        place: int >= 0, index of this process in `tasks`.
    """

    tasks: tuple[Task, ...]
    place: int

    @property
    def others(self) -> tuple[Task, ...]:
        """All processes except this one."""
        return self.tasks[: self.place] + self.tasks[self.place + 1 :]

    def jobs(self) -> dict[str, list[str]]:
        """The addresses by kind, in TensorFlow's form."""
        kinds = dict.fromkeys(task.kind for task in self.tasks)
        return {k: [task.address for task in self.tasks if task.kind == k] for k in kinds}


def read_cluster() -> Cluster | None:
    """Reads TF_CONFIG; None if it is absent or empty, or names no process.

    A cluster of one process, such as a chief alone, trains on one machine. Evaluators are left
    out, because they take no part in training.

    Raises:
        ValueError: if TF_CONFIG cannot be used: its form is wrong, it names parameter servers, or
            this process is an evaluator.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _unusable(f"it is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise _unusable("it must be an object")
    jobs = config.get("cluster") or {}
    if not isinstance(jobs, dict):
        raise _unusable("cluster must be an object of addresses by kind")
    kind, index = _task(config.get("task"), needed=any(jobs.values()))
    jobs = {name: addresses for name, addresses in jobs.items() if addresses}
    if kind == "ps" or "ps" in jobs:
        raise _unusable(
            "parameter servers (ps) are not supported, because every worker holds all weights; "
            "leave ps out, and start workers only"
        )
    if kind == "evaluator":
        raise _unusable(
            "this process is an evaluator, but the chief evaluates every "
            "--config.train.eval_every steps; start no evaluator"
        )
    tasks = _tasks(jobs)
    if not tasks:
        return None
    mine = [place for place, task in enumerate(tasks) if task[:2] == (kind, index)]
    if not mine:
        named = ", ".join(f"{task.kind} {task.number}" for task in tasks)
        raise _unusable(f"this process is {kind} {index}, but the cluster only has {named}")
    return Cluster(tuple(tasks), mine[0])


def cluster_for(strategy: str) -> Cluster | None:
    """The processes that a strategy trains on together; None for this one alone.

    Args:
        strategy: one of `STRATEGIES`.

    Raises:
        ValueError: if there is no such strategy, TF_CONFIG cannot be used, or the strategy does not
            fit what it names.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}: received {strategy!r}")
    if strategy == "tpu":
        return None
    cluster = read_cluster()
    workers = 0 if cluster is None else len(cluster.tasks)
    if workers > 1 and strategy in ("one", "mirrored"):
        raise ValueError(
            f"strategy={strategy} trains on this machine alone, but TF_CONFIG names {workers} "
            "workers; give auto, or unset TF_CONFIG"
        )
    if strategy != "multi_worker_mirrored":
        return cluster if workers > 1 else None
    if cluster is None:
        raise ValueError(f"strategy=multi_worker_mirrored needs TF_CONFIG, such as {EXAMPLE}")
    return cluster


def wait_for_tasks(cluster: Cluster, seconds: float) -> None:
    """Waits until all other processes answer.

    Raises:
        ValueError: naming those that do not answer in time, or this process's own address if it
            cannot listen there.
    """
    mine = cluster.tasks[cluster.place].address
    deadline = time.monotonic() + seconds
    ipv6 = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    try:
        # The others find this process here until TensorFlow itself listens.
        listener = socket.create_server(
            ("", address(mine)[1]),
            family=family,
            backlog=len(cluster.tasks),
            dualstack_ipv6=ipv6,
        )
    except OSError as error:
        raise ValueError(
            f"TF_CONFIG: this worker cannot listen on its address {mine} "
            f"({error.strerror}); give a free port"
        ) from error
    with listener:
        missing = {task.address: "" for task in cluster.others}
        while True:
            for other in list(missing):
                why = unreachable(other, seconds=1.0)
                if why is None:
                    del missing[other]
                else:
                    missing[other] = why
            if not missing:
                return
            if time.monotonic() > deadline:
                reasons = ", ".join(f"{name} ({why})" for name, why in missing.items())
                raise ValueError(
                    f"TF_CONFIG: {reasons} cannot be reached from {mine} within "
                    f"{seconds:g} s; start all workers, and correct wrong addresses"
                )
            time.sleep(0.2)


@contextmanager
def time_limit(seconds: float, message: str) -> Iterator[None]:
    """Kills this process with a message if the `with` block takes too long.

    TensorFlow waits for other workers in a call that stops all Python threads, so another process
    watches the time.

    Args:
        seconds: float >= 0, time limit.
        message: text to write to stderr.
    """
    watch = [sys.executable, "-c", _WATCH, str(seconds), message]
    with subprocess.Popen(watch, stdin=subprocess.PIPE) as watcher:
        assert watcher.stdin is not None
        try:
            yield
        finally:
            watcher.stdin.close()


# Its input ends when the watched process continues, or has ended.
_WATCH = """
import os, select, signal, sys
if not select.select([0], [], [], float(sys.argv[1]))[0]:
    print(sys.argv[2], file=sys.stderr, flush=True)
    os.kill(os.getppid(), signal.SIGKILL)
"""


def lost_tasks(cluster: Cluster, error: Exception) -> str:
    """The addresses of the processes that a TensorFlow error is about.

    These are the processes that its message names ("/job:worker/replica:0/task:1"). If it names
    none, these are the processes that no longer answer. If all answer, these are all others.
    """
    named = {
        (kind, int(index))
        for kind, index in re.findall(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)", str(error))
    }
    lost = [task for task in cluster.others if task[:2] in named]
    lost = lost or [task for task in cluster.others if unreachable(task.address, seconds=2.0)]
    return " or ".join(task.address for task in lost or cluster.others)


def unreachable(name: str, seconds: float) -> str | None:
    """The reason why nothing listens at an address, or None if something does."""
    try:
        socket.create_connection(address(name), timeout=seconds).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def address(name: str) -> tuple[str, int]:
    """Host and port of "host:port", or of "[IPv6]:port"."""
    host, _, port = name.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 2**16:
        raise ValueError(f"TF_CONFIG: a worker must be host:port: received {name!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _task(task: Any, needed: bool) -> tuple[str, int]:
    if not task and not needed:
        return "", 0
    if not isinstance(task, dict) or "type" not in task or "index" not in task:
        raise _unusable("task must say which process this is, by type and index")
    index = task["index"]
    # Some services write numbers as text, and TensorFlow accepts this.
    if isinstance(index, str) and index.isascii() and index.isdecimal():
        index = int(index)
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise _unusable(f"task.index must be a number from 0 on, not {json.dumps(index)}")
    return str(task["type"]), index


def _tasks(jobs: Mapping[str, Any]) -> list[Task]:
    tasks = []
    for kind in ("chief", "worker"):
        tasks += [Task(kind, *item) for item in enumerate(_addresses(kind, jobs.get(kind, [])))]
    for kind in jobs:
        if kind not in ("chief", "worker", "evaluator"):
            remedy = "; TensorFlow 2 calls it chief" if kind == "master" else ""
            raise _unusable(f"cluster has {kind}; it may only have chief and worker{remedy}")
    if len([task for task in tasks if task.kind == "chief"]) > 1:
        raise _unusable("there can be only one chief; make the others workers")
    seen: set[str] = set()
    for task in tasks:
        address(task.address)
        if task.address in seen:
            raise _unusable(f"{task.address} is named twice")
        seen.add(task.address)
    return tasks


def _addresses(kind: str, given: Any) -> list[str]:
    if isinstance(given, dict):
        # TensorFlow also accepts addresses by number.
        ordered = [given.get(str(number)) for number in range(len(given))]
    else:
        ordered = given if isinstance(given, list) else [None]
    addresses = [item for item in ordered if isinstance(item, str)]
    if len(addresses) != len(ordered):
        raise _unusable(f"cluster.{kind} must be a list of host:port, not {json.dumps(given)}")
    return addresses


def _unusable(why: str) -> ValueError:
    text = " ".join(os.environ.get("TF_CONFIG", "").split())[:200]
    return ValueError(f"TF_CONFIG cannot be used: {why}; received {text}; a valid one is {EXAMPLE}")
