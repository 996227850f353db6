import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tiny_experiment import get_config

from experiments.commands.train import train
from experiments.setup import assemble
from experiments.setup.config import ConfigError
from experiments.setup.validation import validate
from pipelines.prepare.prepare import prepare
from pipelines.reading.prepared import open_dataset

ROOT = Path(__file__).parents[2]


def losses(workdir):
    return [json.loads(line) for line in (workdir / "losses.jsonl").read_text().splitlines()]


def variables(workdir):
    reader = tf.train.load_checkpoint(str(workdir / "checkpoints"))
    names = reader.get_variable_to_shape_map()
    # The number of saves does not belong to the training.
    skipped = ("_CHECKPOINTABLE", "save_counter")
    return {name: reader.get_tensor(name) for name in names if not name.startswith(skipped)}


def test_a_run_leaves_losses_samples_and_checkpoints(small, data_dir, tmp_path):
    assert train(small, data_dir=data_dir, workdir=tmp_path, strategy="one") == 4
    lines = losses(tmp_path)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    names = {"generator/adversarial", "generator/feature_matching", "generator/kl"}
    names |= {"discriminator/fake", "discriminator/real"}
    assert names <= set(lines[0])
    assert all(np.isfinite(value) for line in lines for value in line.values())
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "step-000002.png",
        "step-000004.png",
    ]
    # Two rows of label map, generated, real, with two pixels between.
    with Image.open(tmp_path / "samples" / "step-000004.png") as picture:
        assert picture.size == (3 * 34 - 2, 2 * 34 - 2)
    assert (tmp_path / "checkpoints" / "step-4.index").exists()


@pytest.fixture
def deterministic(small):
    """Operations whose sums are added up in one order, in graphs, for one test."""
    # TensorFlow has no public way back; were this one gone, the test would fail.
    from tensorflow.python.framework.config import disable_op_determinism

    small.train.deterministic = True
    tf.config.run_functions_eagerly(False)
    yield
    disable_op_determinism()


@pytest.mark.usefixtures("deterministic")
def test_resumed_equals_uninterrupted(small, data_dir, tmp_path, capsys):
    small.train.average_decay = 0.9
    train(small, data_dir=data_dir, workdir=tmp_path / "straight", strategy="one")
    small.train.steps = 2
    train(small, data_dir=data_dir, workdir=tmp_path / "w", strategy="one")
    # Files that a process leaves when it is killed while writing.
    (tmp_path / "w" / "report.html.part").write_text("x")
    (tmp_path / "w" / "samples" / "step-000004.png.part").write_text("x")
    (tmp_path / "w" / "checkpoints" / "step-3_temp").mkdir()
    small.train.steps = 4
    train(small, data_dir=data_dir, workdir=tmp_path / "w", strategy="one")
    assert "resumed from step 2" in capsys.readouterr().err
    assert not [*tmp_path.rglob("*.part"), *tmp_path.rglob("*_temp")]
    assert [line["step"] for line in losses(tmp_path / "w")] == [1, 2, 3, 4]
    straight, resumed = variables(tmp_path / "straight"), variables(tmp_path / "w")
    assert straight.keys() == resumed.keys()
    for name in straight:
        np.testing.assert_array_equal(resumed[name], straight[name], err_msg=name)


def test_a_decay_longer_than_the_training_is_shortened(small, data_dir, tmp_path, capsys):
    small.train.steps = 2
    small.optimizer.decay_steps = 500
    validate(small)
    optimizer = assemble.make_optimizer(small, "generator")
    # Over all steps: whole at first, half in the second.
    rates = [float(optimizer.learning_rate)]
    optimizer.iterations.assign(1)
    rates.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(rates, [1e-4, 5e-5], rtol=1e-6)
    assert train(small, data_dir=data_dir, workdir=tmp_path, strategy="one") == 2
    said = capsys.readouterr().err
    assert "optimizer.decay_steps=500 is more than train.steps=2: the rates fall to zero" in said
    assert "--config.optimizer.decay_steps=0" in said
    small.train.steps = 3
    assert train(small, data_dir=data_dir, workdir=tmp_path, strategy="one") == 3
    # It goes on with the rates that it was begun with, so that no flag is named.
    assert "decay_steps" not in capsys.readouterr().err


@pytest.mark.distributed
def test_parts_that_do_not_divide_a_device_s_share(
    small, two_replicas, data_dir, tmp_path, monkeypatch
):
    small.train.batch_size, small.train.accumulation_steps = 8, 8
    validate(small)
    folders = {"data_dir": data_dir, "workdir": tmp_path / "w"}
    with pytest.raises(ConfigError, match=r"each of 2 devices has 4 pictures .* one of 1, 2, 4"):
        train(small, strategy="mirrored", **folders)

    class Passed(Exception):  # noqa: N818
        pass

    def write(*args):
        raise Passed

    # One device has all eight: the training goes on, to its workdir.
    monkeypatch.setattr("experiments.commands.train.write_workdir", write)
    with pytest.raises(Passed):
        train(small, strategy="one", **folders)


def test_nan_goes_back_at_half_the_rate_then_gives_up(
    small, data_dir, tmp_path, monkeypatch, capsys
):
    rates, make_gaugan = [], assemble.make_gaugan

    def make(config, labels, rate_factor):
        model = make_gaugan(config, labels, rate_factor)
        rates.append(float(model.generator_optimizer.learning_rate))
        losses_of = model.generator_losses

        def generator_losses(*args, **kwargs):
            # The third step always gives NaN.
            bad = tf.where(model.step.value == 2, float("nan"), 1.0)
            return {name: loss * bad for name, loss in losses_of(*args, **kwargs).items()}

        model.generator_losses = generator_losses
        return model

    monkeypatch.setattr(assemble, "make_gaugan", make)
    small.train.max_rollbacks = 1
    with pytest.raises(ConfigError, match=r"2 times.*step 3: loss generator/adv") as caught:
        train(small, data_dir=data_dir, workdir=tmp_path, strategy="one")
    assert "\n" not in str(caught.value)
    np.testing.assert_allclose(rates, [1e-4, 5e-5], rtol=1e-6)
    said = capsys.readouterr().err
    assert said.count("going back to the last checkpoint, at half the learning rate") == 1
    assert said.count("resumed from step 2") == 1
    # A restart keeps it, although no checkpoint was written since.
    small.train.max_rollbacks = 0
    with pytest.raises(ConfigError, match="1 time,"):
        train(small, data_dir=data_dir, workdir=tmp_path, strategy="one")
    np.testing.assert_allclose(rates[2:], [5e-5], rtol=1e-6)
    assert "resumed from step 2 of" in (said := capsys.readouterr().err)
    assert "at 0.5 of the learning rates" in said
    # Only the good checkpoint is kept.
    assert [path.name for path in (tmp_path / "checkpoints").glob("*.index")] == ["step-2.index"]
    assert np.isfinite(np.concatenate([v.ravel() for v in variables(tmp_path).values()])).all()


@pytest.mark.parametrize("old", [False, True])
def test_another_batch_size_goes_on_at_the_next_example(
    old, small, data_dir, tmp_path, monkeypatch, capsys
):
    firsts, make_batches = [], assemble.make_batches

    def make(config, builder, split, **kwargs):
        batches = make_batches(config, builder, split, **kwargs)
        if kwargs["training"] and kwargs["batch_size"] == config.train.batch_size:
            firsts.append(next(iter(batches))["image"].numpy())
        return batches

    small.train.steps, small.train.batch_size = 2, 3
    train(small, data_dir=data_dir, workdir=tmp_path, strategy="one")
    if old:
        # An older workdir has no course.json: all its steps used the first batch size.
        (tmp_path / "checkpoints" / "course.json").unlink()
    monkeypatch.setattr(assemble, "make_batches", make)
    small.train.steps, small.train.batch_size = 4, 2
    train(small, data_dir=data_dir, workdir=tmp_path, strategy="one")
    said = capsys.readouterr().err
    assert "batches of 2 instead of 3: the data goes on after the 6 examples" in said
    if not old:
        small.train.steps, small.train.batch_size = 5, 1
        train(small, data_dir=data_dir, workdir=tmp_path, strategy="one")
    stream = make_batches(
        small, open_dataset("paired_folder", data_dir), "train", training=True, batch_size=1
    )
    images = [batch["image"].numpy()[0] for batch in stream.take(11)]
    expected = [images[6:8]] if old else [images[6:8], images[10:11]]
    for one, other in zip(firsts, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_second_process_on_a_workdir_is_refused(data_dir, tmp_path):
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process is training there") as caught:
            train(get_config(), data_dir=data_dir, workdir=tmp_path, strategy="one")
    assert str(tmp_path) in str(caught.value)
    assert not (tmp_path / "config.json").exists()


def test_a_workdir_that_cannot_be_written_is_refused(data_dir, tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    # The user who runs the tests may have permission to write everywhere.
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ConfigError, match=r"cannot be written .Permission denied.; choose another"):
        train(get_config(), data_dir=data_dir, workdir=tmp_path / "w", strategy="one")


def test_another_configuration_in_a_workdir_is_refused(workdir, data_dir):
    config = get_config()
    config.generator.conditioning = "clade"
    config.generator.filters = 4
    with pytest.raises(ConfigError, match=r"generator\.filters=2, not 4"):
        train(config, data_dir=data_dir, workdir=workdir)


@pytest.fixture(scope="module")
def data_without_instances(source_dir, tmp_path_factory):
    root = tmp_path_factory.mktemp("without")
    for kind in ("img", "label"):
        shutil.copytree(source_dir / f"train_{kind}", root / "source" / f"train_{kind}")
    prepare("paired_folder", source_dir=root / "source", data_dir=root / "data", num_classes=4)
    return root / "data"


def test_instances_follow_the_data_set(small, data_dir, data_without_instances, tmp_path):
    assert get_config().data.use_instance is None
    for data, used in ((data_dir, True), (data_without_instances, False)):
        small.data.use_instance = None
        small.train.steps = 1
        workdir = tmp_path / str(used)
        train(small, data_dir=data, workdir=workdir, strategy="one")
        content = json.loads((workdir / "config.json").read_text())
        assert content["config"]["data"]["use_instance"] is used
        # The same command is allowed, and one that names the decided value. Any other is refused.
        assert train(small, data_dir=data, workdir=workdir, strategy="one") == 1
        small.data.use_instance = not used
        with pytest.raises(
            ConfigError, match=r"begun with data\.use_instance|without instance maps"
        ):
            train(small, data_dir=data, workdir=workdir, strategy="one")


@pytest.mark.parametrize(
    ("section", "wrong", "right", "said"),
    [
        (
            "data",
            {"use_instance": True},
            {"use_instance": None},
            r"\A--config\.data\.use_instance=True: the data set paired_folder .* leave it out",
        ),
        (
            "data",
            {"train_split": "trian"},
            {"train_split": "train"},
            r"\A--config\.data\.train_split: 'trian' is not in paired_folder.* give one of train",
        ),
        (
            "loss",
            {"vgg_weights": "/none.pth", "perceptual_weight": 10.0},
            {"vgg_weights": "imagenet", "perceptual_weight": 0.0},
            r"\A--config\.loss\.vgg_weights=/none\.pth: .*--config\.loss\.perceptual_weight=0",
        ),
    ],
)
def test_what_failed_before_the_first_checkpoint_binds_nothing(
    small, data_without_instances, tmp_path, section, wrong, right, said
):
    small.train.steps = 1
    for name, value in wrong.items():
        setattr(getattr(small, section), name, value)
    with pytest.raises(ConfigError, match=said):
        train(small, data_dir=data_without_instances, workdir=tmp_path, strategy="one")
    for name, value in right.items():
        setattr(getattr(small, section), name, value)
    assert train(small, data_dir=data_without_instances, workdir=tmp_path, strategy="one") == 1
    small.generator.filters += 1
    small.discriminator.filters += 1
    # All that differs is named at once, and the flags that take it back.
    said = r"generator\.filters=\d+, .*discriminator\.filters=\d+, .*"
    flags = r"or --config\.generator\.filters=\d+ --config\.discriminator\.filters=\d+\Z"
    with pytest.raises(ConfigError, match=rf"begun with {said}{flags}"):
        train(small, data_dir=data_without_instances, workdir=tmp_path, strategy="one")


@pytest.mark.distributed
def test_a_batch_that_devices_cannot_share_is_refused(data_dir, tmp_path):
    config = get_config()
    config.train.batch_size = 3
    if len(tf.config.list_logical_devices("CPU")) != 2:
        pytest.skip("needs two logical CPUs")
    with pytest.raises(ValueError, match="multiple of the 2 devices: received 3"):
        train(config, data_dir=data_dir, workdir=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_and_an_interrupted_one_saves(number, data_dir, tmp_path):
    command = [sys.executable, str(ROOT / "run.py"), "train", f"--data_dir={data_dir}"]
    command += [f"--workdir={tmp_path}", f"--config={ROOT / 'tests/helpers/tiny_experiment.py'}"]
    with subprocess.Popen(
        [*command, "--config.train.steps=100000"], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("checkpoints/*.index")) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.kill(process.pid, number)
        error = process.stderr.read()
    saved = max(int(p.stem.split("-")[1]) for p in tmp_path.glob("checkpoints/*.index"))
    if number == signal.SIGINT:
        assert process.returncode == 0
        assert f"step {saved}: stopped" in error
    again = subprocess.run(
        [*command, f"--config.train.steps={saved + 1}"],
        check=True,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert f"resumed from step {saved}" in again.stderr
    assert f"step {saved + 1}: finished" in again.stderr
    steps = [line["step"] for line in losses(tmp_path)]
    assert steps == sorted(set(steps))
