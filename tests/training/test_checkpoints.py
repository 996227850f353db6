import resource

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_networks import make_small, small_batch, values

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


def test_what_cannot_be_written_in_the_background_is_told_at_the_next_save(tmp_path, monkeypatch):
    model = make_small()
    checkpoints = Checkpoints(model, tmp_path, asynchronous=True)
    checkpoints.save(1)
    checkpoints.wait()

    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.CheckpointManager, "save", fail)
        checkpoints.save(2)
        with pytest.raises(CheckpointError, match=r"step 2 .*No space left.*step-1 is still good"):
            checkpoints.save(3)
    checkpoints.save(4)
    checkpoints.wait()
    checkpoints.close()
    assert checkpoints.steps() == [1, 4]


def test_what_is_saved_in_the_background_is_of_that_step(tmp_path):
    model = make_small()
    checkpoints = Checkpoints(model, tmp_path, asynchronous=True)
    before = values(model.generator.variables)
    checkpoints.save(1)
    for variable in model.generator.variables:
        variable.assign(tf.zeros_like(variable))
    checkpoints.close()
    assert Checkpoints(model, tmp_path).restore_latest() == 1
    for old, variable in zip(before, model.generator.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)


def test_the_learning_rate_is_not_a_checkpoint_s(tmp_path):
    model = make_small()
    Checkpoints(model, tmp_path).save(1)
    model.generator_optimizer.learning_rate = 0.5
    Checkpoints(model, tmp_path).restore_latest()
    assert float(model.generator_optimizer.learning_rate) == 0.5


def test_the_loss_scale_is_a_checkpoint_s(tmp_path):
    def optimizer():
        return keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-2))

    model = make_small(dtype="mixed_float16", optimizer=optimizer)
    model.train_step(small_batch())
    everything = [
        *model.generator_optimizer.variables,
        *model.generator_optimizer.inner_optimizer.variables,
    ]
    expected = values(everything)
    Checkpoints(model, tmp_path).save(1)
    for variable in everything:
        if "learning_rate" not in variable.path:
            variable.assign(tf.ones_like(variable))
    Checkpoints(model, tmp_path).restore_latest()
    for old, variable in zip(expected, everything, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old, err_msg=variable.path)


def test_orphans_of_a_killed_process_are_removed(tmp_path):
    model = make_small()
    Checkpoints(model, tmp_path).save(1)
    kept = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "step-2_temp").mkdir()
    for name in ("step-2_temp/part-00000-of-00001.index", "step-3.data-00000-of-00001"):
        (tmp_path / name).write_text("x")
    (tmp_path / "checkpoint.tmp0123").write_text("x")
    checkpoints = Checkpoints(model, tmp_path)
    checkpoints.remove_orphans()
    assert sorted(path.name for path in tmp_path.iterdir()) == kept
    assert checkpoints.restore_latest() == 1
