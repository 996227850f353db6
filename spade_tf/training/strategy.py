"""Which devices to train on."""

from __future__ import annotations

import tensorflow as tf


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
            f"num_virtual_cpus={count} must be set before TensorFlow starts"
        ) from error


def make_strategy() -> tf.distribute.Strategy:
    """A strategy over all GPUs, or else over all logical CPUs.

    Returns:
        `MirroredStrategy` where there are several devices, TensorFlow's default strategy (which
        distributes nothing) where there is one.
    """
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in devices])


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
