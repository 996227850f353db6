"""What all tests share: two virtual devices, and seeds."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest
import tensorflow as tf

from spade_tf.training.strategy import make_strategy

# Devices can only be split before TensorFlow first uses one.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def two_replicas():
    """A strategy of two replicas on this machine's processor."""
    # The one that training in this process has, too: there can be no second one.
    return make_strategy("mirrored")
