"""Shared by all tests: two virtual devices, quick graphs, seeds, and the order of files."""

import gc
import os
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest
from made_once import made_once

# What takes longest starts first, so that no process ends long after the other.
FIRST = [
    "test_conformance.py",
    "test_fused.py",
    "test_earlier.py",
    "test_convert.py",
    "test_litert.py",
    "test_editing.py",
    "test_gaugan.py",
    "test_distillation.py",
    "test_generate_export.py",
    "test_train.py",
    "test_segment.py",
    "test_benchmark.py",
    "test_export_litert.py",
    "test_generator.py",
    "test_borders.py",
    "test_keras_methods.py",
    "test_evaluate.py",
    "test_checks.py",
]


def pytest_configure(config):
    # xdist would start the files with the most tests first.
    config.option.loadscopereorder = False
    # The process that hands tests out runs none, and the others wait for it.
    hands_out = getattr(config.option, "dist", "no") != "no"
    if "PYTEST_XDIST_WORKER" in os.environ or not hands_out:
        _prepare_tensorflow()


def _prepare_tensorflow():
    import keras
    import tensorflow as tf

    # Devices can only be split before TensorFlow first uses one.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    # As many processes as cores run tests: a second thread in each would only take turns.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    # Grappler takes most of the time of a graph's first call, for graphs that tests call once or
    # twice. The commands, servers and exports that tests start as processes of their own do run
    # with it.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    keras.utils.set_random_seed(0)


def pytest_collection_finish():
    # What has been imported stays: no collection of garbage need go through it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def pytest_collection_modifyitems(items):
    place = {name: index for index, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.name, len(FIRST)))


def _nameless(next_creator, **arguments):
    import tensorflow as tf

    with tf.name_scope(""):
        return next_creator(**{**arguments, "name": None})


@pytest.fixture(scope="session", autouse=True)
def _nameless_variables():
    """TensorFlow prepares an operation for each name of a variable; one is enough for a shape.

    Keras and checkpoints know variables by their paths.
    """
    import tensorflow as tf

    with tf.variable_creator_scope(_nameless):
        yield


@pytest.fixture(autouse=True)
def _seeded():
    """Keras draws initial weights from Python's numbers.

    `keras.utils.set_random_seed` would also make TensorFlow forget every operation and graph that
    is ready to run, among them those of exports that tests share.
    """
    random.seed(0)


@pytest.fixture
def eagerly():
    """Runs functions operation by operation: one call takes less time than to trace its graph."""
    from eager import eager

    with eager():
        yield


@pytest.fixture(scope="session")
def two_replicas():
    """A strategy of two replicas on this machine's processor."""
    from spade_tf.training.strategy import make_strategy

    # Training in this process uses the same one: a process can have only one.
    return make_strategy("mirrored")


@pytest.fixture(scope="session")
def networks():
    """A generator and an encoder with everything that can be exported."""
    import served_networks

    # The same ones in every test process: one of them makes the export for all.
    random.seed(0)
    return served_networks.spade_with_styles(), served_networks.encoder()


@pytest.fixture(scope="session")
def version(networks, tmp_path_factory):
    """An export of the generator and the encoder; tests only read it."""
    from spade_tf.export.saved_model import export_saved_model

    def make(folder):
        generator, encoder = networks
        export_saved_model(
            generator,
            folder / "tiny",
            encoder=encoder,
            unknown_id=255,
            assets={"config.json": '{"answer": 42}', "model_card.md": "# tiny\n"},
        )

    return made_once(tmp_path_factory, "export", make) / "tiny" / "1"


@pytest.fixture(scope="session")
def loaded(version):
    """The export, loaded in this process."""
    import tensorflow as tf

    return tf.saved_model.load(str(version))


@pytest.fixture(scope="session")
def signatures(loaded):
    """The signatures of the loaded export."""
    return loaded.signatures
