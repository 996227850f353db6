import resource

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_networks import make_small

from spade_tf.training.checkpoints import CheckpointError, Checkpoints, restore_networks


def fill(model, value):
    variables = [*model.variables, *model.generator_optimizer.variables]
    for variable in [*variables, *model.discriminator_optimizer.variables]:
        variable.assign(tf.cast(tf.fill(variable.shape, value), variable.dtype))


@pytest.fixture(scope="module")
def model():
    return make_small()


def test_everything_comes_back(model, tmp_path):
    fill(model, 3)
    Checkpoints(model, tmp_path).save(7)
    # In another process, Keras would number names from one again.
    keras.backend.clear_session()
    other = make_small()
    assert Checkpoints(other, tmp_path).restore_latest() == 7
    everything = [
        *other.variables,
        *other.generator_optimizer.variables,
        *other.discriminator_optimizer.variables,
    ]
    assert len(everything) > 50
    for variable in everything:
        # The rate comes from the configuration. A training that goes back halves it.
        if not variable.path.endswith("learning_rate"):
            np.testing.assert_array_equal(variable.numpy(), 3, err_msg=variable.path)


def test_networks_alone_come_back(model, tmp_path):
    fill(model, 2)
    Checkpoints(model, tmp_path).save(5)
    other = make_small()
    assert restore_networks(tmp_path, generator=other.generator, encoder=None) == 5
    for variable in other.generator.variables:
        np.testing.assert_array_equal(variable.numpy(), 2)
    assert any((variable.numpy() != 2).any() for variable in other.encoder.variables)


def test_the_newest_are_kept(model, tmp_path):
    checkpoints = Checkpoints(model, tmp_path, max_to_keep=2)
    for step in (1, 2, 3):
        checkpoints.save(step)
    assert sorted(path.name for path in tmp_path.glob("*.index")) == [
        "step-2.index",
        "step-3.index",
    ]


def test_nothing_to_restore(model, tmp_path):
    assert Checkpoints(model, tmp_path).restore_latest() is None
    with pytest.raises(CheckpointError, match="no checkpoint"):
        restore_networks(tmp_path, generator=model.generator)


def test_another_model_is_refused(model, tmp_path):
    Checkpoints(model, tmp_path).save(1)
    with pytest.raises(CheckpointError, match="step-1"):
        Checkpoints(make_small(num_labels=4), tmp_path).restore_latest()
    with pytest.raises(CheckpointError, match="step-1"):
        restore_networks(tmp_path, generator=make_small(num_labels=4).generator)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(model, tmp_path, caplog):
    checkpoints = Checkpoints(model, tmp_path)
    fill(model, 1)
    checkpoints.save(1)
    fill(model, 2)
    checkpoints.save(2)
    data = next(tmp_path.glob("step-2.data*"))
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    other = make_small()
    assert Checkpoints(other, tmp_path).restore_latest() == 1
    np.testing.assert_array_equal(other.generator.variables[0].numpy(), 1)
    assert "step-2 cannot be read" in caplog.text


def test_a_full_disk_leaves_the_checkpoint_before_good(model, tmp_path):
    checkpoints = Checkpoints(model, tmp_path)
    fill(model, 1)
    checkpoints.save(1)
    fill(model, 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Writing past this size fails as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r"step-1 is still good") as caught:
            checkpoints.save(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert not [path.name for path in tmp_path.iterdir() if "step-2" in path.name]
    other = make_small()
    assert Checkpoints(other, tmp_path).restore_latest() == 1
    checkpoints.save(2)
    assert Checkpoints(other, tmp_path).restore_latest() == 2
