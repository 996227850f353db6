"""Which devices to train on."""

from __future__ import annotations

import functools
import json
import os
import re
import socket
import time

import tensorflow as tf

STRATEGIES = ("auto", "one", "mirrored", "multi_worker_mirrored", "tpu")


def configure_virtual_cpus(count: int) -> None:
    """Splits the processor into several logical devices, before TensorFlow first uses it.

    Args:
        count: int >= 1.

    Raises:
        ValueError: if `count` is below 1, or TensorFlow has already started.
    """
    if count < 1:
        raise ValueError(f"num_virtual_cpus must be >= 1: received {count}")
    processor = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            processor, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError as error:
        raise ValueError(
            f"num_virtual_cpus must be set before TensorFlow starts: received {count}"
        ) from error


def make_strategy(name: str = "auto", connect_seconds: float = 300.0) -> tf.distribute.Strategy:
    """A strategy by its name.

    Args:
        name: "one" (TensorFlow's default strategy, which distributes nothing); "mirrored", over
            all GPUs of the machine, or else its logical CPUs; "multi_worker_mirrored", over the
            workers that the environment variable TF_CONFIG names; "tpu"; or "auto":
            "multi_worker_mirrored" where TF_CONFIG names several workers, else "mirrored" where
            there are several devices, else "one".
        connect_seconds: float > 0, how long to wait for the other workers.

    Returns:
        The strategy.

    Raises:
        ValueError: if there is no such strategy, TF_CONFIG cannot be used, or a worker cannot be
            reached.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}: received {name!r}")
    workers = _workers() if name in ("auto", "multi_worker_mirrored") else []
    if name == "multi_worker_mirrored" and not workers:
        raise ValueError(
            "strategy=multi_worker_mirrored needs TF_CONFIG, such as "
            '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", '
            '"index": 0}}'
        )
    if name == "multi_worker_mirrored" or len(workers) > 1:
        # TensorFlow would wait for ever, or end the process, without a word about who is missing.
        _wait_for_workers(workers, _task_index(), connect_seconds)
        options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=connect_seconds)
        try:
            return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
        except (tf.errors.OpError, RuntimeError) as error:
            raise ValueError(
                f"TF_CONFIG: the workers {', '.join(workers)} did not come together "
                f"({' '.join(str(error).split())[:200]}); start all of them, and see that they "
                "reach one another"
            ) from error
    if name == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
        except (ValueError, tf.errors.OpError) as error:
            raise ValueError(f"strategy=tpu: no TPU was found ({error})") from error
        return tf.distribute.TPUStrategy(resolver)
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if name == "one" or (name == "auto" and len(devices) == 1):
        return tf.distribute.get_strategy()
    return _mirrored(tuple(device.name for device in devices))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes: the only one, or the first worker."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_type or resolver.task_id == 0


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes take part."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def lost_worker(error: Exception) -> str:
    """The worker that an error of TensorFlow's is about, by its address where it can be told."""
    workers = _workers()
    others = [worker for index, worker in enumerate(workers) if index != _task_index()]
    # "/job:worker/replica:0/task:1"; where there is but one other, it is that one.
    told = re.search(r"task:(\d+) is down", str(error))
    if told and int(told[1]) < len(workers):
        return workers[int(told[1])]
    return " or ".join(others)


def check_batch_size(batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Raises a ValueError unless every replica gets the same number of examples.

    Args:
        batch_size: int, the global batch.
        strategy: what it is divided among.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size < replicas or batch_size % replicas:
        nearest = max(round(batch_size / replicas), 1) * replicas
        raise ValueError(
            f"batch_size must be a multiple of the {replicas} devices: received {batch_size}; "
            f"the nearest is {nearest}"
        )


def _workers() -> list[str]:
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return []
    try:
        config = json.loads(text)
        workers = list(config["cluster"]["worker"])
        index = config["task"]["index"]
        if config["task"]["type"] != "worker" or not 0 <= index < len(workers):
            raise ValueError(f"no task {config['task']}")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"TF_CONFIG cannot be used ({type(error).__name__}: {error}): received {text[:200]}; "
            'give {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", '
            '"index": 0}}'
        ) from error
    return workers


def _task_index() -> int:
    return int(json.loads(os.environ["TF_CONFIG"])["task"]["index"])


def _wait_for_workers(workers: list[str], index: int, seconds: float) -> None:
    """Raises a ValueError that names the workers which do not answer within some seconds."""
    addresses = [_address(worker) for worker in workers]
    deadline = time.monotonic() + seconds
    try:
        # So that the others find this worker before TensorFlow listens in its place.
        listener = socket.create_server(("", addresses[index][1]), backlog=len(workers))
    except OSError as error:
        raise ValueError(
            f"TF_CONFIG: {workers[index]}, which is this worker, cannot be listened on "
            f"({error.strerror}); give a free port"
        ) from error
    with listener:
        missing = {worker: "" for worker in workers if worker != workers[index]}
        while True:
            for worker in list(missing):
                try:
                    socket.create_connection(_address(worker), timeout=1.0).close()
                    del missing[worker]
                except OSError as error:
                    missing[worker] = error.strerror or str(error)
            if not missing:
                return
            if time.monotonic() > deadline:
                reasons = ", ".join(f"{name} ({why})" for name, why in missing.items())
                raise ValueError(
                    f"TF_CONFIG: {reasons} cannot be reached from {workers[index]} within "
                    f"{seconds:g} s; start all workers, and correct the address where it is wrong"
                )
            time.sleep(0.2)


def _address(worker: str) -> tuple[str, int]:
    host, _, port = worker.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"TF_CONFIG: a worker must be host:port: received {worker!r}")
    return host, int(port)


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    # One per process: on processors, collectives of two strategies over the same devices are
    # numbered alike, and TensorFlow takes those of the second for the first's.
    return tf.distribute.MirroredStrategy(list(devices))
