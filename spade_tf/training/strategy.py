"""Which devices to train on."""

from __future__ import annotations

import functools

import tensorflow as tf

from spade_tf.training.cluster import (
    Cluster,
    cluster_for,
    lost_tasks,
    read_cluster,
    time_limit,
    wait_for_tasks,
)


def configure_virtual_cpus(count: int) -> None:
    """Splits the processor into several logical devices. Call it before TensorFlow starts.

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
    """Makes a strategy by its name.

    Args:
        name: "one": TensorFlow's default strategy, which distributes nothing; "mirrored": all GPUs
            of the machine, or its logical CPUs if it has no GPU; "multi_worker_mirrored": the chief
            and the workers that the environment variable TF_CONFIG names; "tpu"; "auto":
            "multi_worker_mirrored" if TF_CONFIG names several, otherwise "mirrored" if there are
            several devices, otherwise "one".
        connect_seconds: float > 0, how long to wait until the other workers start. After the start
            there is no time limit: a worker waits as long as the other one lives.

    Returns:
        The strategy.

    Raises:
        ValueError: if there is no such strategy, TF_CONFIG cannot be used, or a worker cannot be
            reached.

    Example:
        >>> from spade_tf.training import make_strategy
        >>> make_strategy("one").num_replicas_in_sync
        1
    """
    cluster = cluster_for(name)
    if name == "tpu":
        return _tpu()
    if cluster is not None:
        return _multi_worker(cluster, connect_seconds)
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if name == "one" or (name == "auto" and len(devices) == 1):
        return tf.distribute.get_strategy()
    return _mirrored(tuple(device.name for device in devices))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes: it is the only one, the chief, or the first worker."""
    cluster = read_cluster() if is_multi_worker(strategy) else None
    return cluster is None or cluster.place == 0


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes take part."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def from_chief(strategy: tf.distribute.Strategy, *numbers: float) -> list[float]:
    """The chief's numbers, on every worker; it waits until all workers ask for them.

    Args:
        strategy: strategy of the workers.
        *numbers: as many on every worker. Whole numbers are exact up to 2^53.
    """
    if not is_multi_worker(strategy):
        return list(numbers)
    mine = numbers if is_chief(strategy) else [0.0] * len(numbers)
    # A cached constant may be from before the workers connected, when devices had other names.
    values = tf.identity(tf.constant(mine, tf.float64))
    return strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None).numpy().tolist()


def lost_worker(error: tf.errors.OpError) -> str | None:
    """The address of the lost worker that a TensorFlow error is about.

    If several are possible, they are joined by "or". None if the error is about something else.
    """
    cluster = read_cluster()
    if cluster is None or len(cluster.tasks) == 1:
        return None
    # A lost connection or heartbeat gives an UnavailableError. Operations that run after it fail
    # with the message about collective ops.
    if not isinstance(error, tf.errors.UnavailableError) and (
        "Collective ops is aborted" not in error.message
    ):
        return None
    return lost_tasks(cluster, error)


def check_batch_size(batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Raises a ValueError unless every replica gets the same number of examples.

    Args:
        batch_size: int, the global batch.
        strategy: strategy whose replicas share the batch.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size < replicas or batch_size % replicas:
        nearest = max(round(batch_size / replicas), 1) * replicas
        raise ValueError(
            f"batch_size must be a multiple of the {replicas} devices: received {batch_size}; "
            f"the nearest is {nearest}"
        )


def _multi_worker(cluster: Cluster, connect_seconds: float) -> tf.distribute.Strategy:
    # TensorFlow would wait for an hour, or end the process, without naming the missing worker.
    wait_for_tasks(cluster, connect_seconds)
    addresses = ", ".join(task.address for task in cluster.tasks)
    advice = "start all of them, with the same cluster in TF_CONFIG"
    late = f"error: TF_CONFIG: the workers {addresses} did not connect within "
    mine = cluster.tasks[cluster.place]
    resolver = _Resolver(task_type=mine.kind, task_id=mine.number)
    resolver.jobs = cluster.jobs()
    try:
        # No time limit for collectives: TensorFlow would start a thread for each collective, which
        # sleeps until the limit. Its coordination service notices a lost worker.
        with time_limit(connect_seconds, f"{late}{connect_seconds:g} s; {advice}"):
            return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (tf.errors.OpError, RuntimeError) as error:
        raise ValueError(
            f"TF_CONFIG: the workers {addresses} did not connect "
            f"({' '.join(str(error).split())[:200]}); {advice}"
        ) from error


class _Resolver(tf.distribute.cluster_resolver.TFConfigClusterResolver):
    """Leaves out the evaluator. TensorFlow would wait for it."""

    def cluster_spec(self):
        return tf.train.ClusterSpec(self.jobs)


def _tpu() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
    except (ValueError, tf.errors.OpError) as error:
        raise ValueError(f"strategy=tpu: no TPU was found ({error})") from error
    return tf.distribute.TPUStrategy(resolver)


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    # One strategy per process: on CPUs, two strategies over the same devices number their
    # collectives alike, and TensorFlow confuses them.
    return tf.distribute.MirroredStrategy(list(devices))
