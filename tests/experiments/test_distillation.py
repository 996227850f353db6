import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tiny_experiment import get_config

from experiments import landscapes, landscapes_student
from experiments.commands.export.export import export
from experiments.commands.train import train
from experiments.setup.config import Config, ConfigError
from experiments.setup.teacher import check_teacher
from experiments.setup.trained_model import load_workdir
from experiments.setup.validation import validate
from experiments.setup.workdir import write_workdir

LABELS = {"class_names": ["sky", "sea"], "palette": [[0] * 3] * 2, "has_unknown": False}


def student(teacher, steps):
    config = get_config()
    config.teacher = str(teacher)
    # The conditioning that is traced fastest.
    config.generator.conditioning = "clade"
    config.train.steps = steps
    return config


@pytest.mark.slow
def test_a_student_is_trained_goes_on_and_is_exported_without_its_teacher(
    workdir, data_dir, tmp_path, capsys
):
    teacher = tmp_path / "teacher"
    shutil.copytree(workdir, teacher)
    files = {path: path.read_bytes() for path in teacher.rglob("*") if path.is_file()}
    run = tmp_path / "student"
    options = {"data_dir": data_dir, "workdir": run, "strategy": "one"}
    assert train(student(teacher, 2), **options) == 2
    with pytest.raises(ConfigError, match=r"was begun with teacher='.*teacher', not '';"):
        train(student("", 3), **options)
    assert train(student(teacher, 3), **options) == 3
    assert "resumed from step 2" in capsys.readouterr().err
    lines = [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    for loss in ("output", "feature"):
        assert all(line[f"generator/distillation_{loss}"] > 0 for line in lines)
    assert json.loads((run / "config.json").read_text())["config"]["teacher"] == str(teacher)
    assert files == {path: path.read_bytes() for path in teacher.rglob("*") if path.is_file()}
    encoder = load_workdir(teacher).encoder
    shutil.rmtree(teacher)

    model = load_workdir(run)
    for ours, theirs in zip(model.encoder.variables, encoder.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    exported = tf.saved_model.load(str(export(run, output_dir=tmp_path / "saved")))
    image = (127 + 120 * np.sin(np.arange(64 * 64 * 3.0))).astype(np.uint8).reshape(64, 64, 3)
    photograph = tf.io.encode_png(image)[None]
    z = exported.signatures["encode_style"](image_bytes=photograph)["z"]
    expected = encoder(tf.cast(image, tf.float32)[None] / 127.5 - 1.0)[0]
    np.testing.assert_allclose(z, expected, rtol=0, atol=1e-5)
    label = tf.constant(np.arange(64 * 64).reshape(1, 64, 64) // 900, tf.int32)
    inputs = {"label": label, "instance": tf.zeros_like(label)}
    picture = exported.signatures["generate"](**inputs, z=z)["image"]
    # Float32 through seven blocks, in two forms of one network.
    np.testing.assert_allclose(picture, model.generator(inputs, z=z), rtol=0, atol=1e-4)


@pytest.fixture
def teacher(tmp_path):
    config = Config(name="teacher")
    config.data.use_instance = True
    config.generator.z_dim = 8
    config.encoder.enabled = True
    write_workdir(config, tmp_path / "teacher", LABELS, "data")
    return config, str(tmp_path / "teacher")


@pytest.mark.parametrize(
    ("section", "name", "value", "remedy"),
    [
        ("data", "height", 128, r"data\.height=256, and the student 128; give --config\.data"),
        ("data", "width", 512, r"data\.width=256, and the student 512"),
        ("data", "use_instance", False, r"data\.use_instance=True, and the student False"),
        (
            "generator",
            "z_dim",
            16,
            r"z_dim=8, and the student 16; give --config\.generator\.z_dim=8",
        ),
        ("encoder", "enabled", False, r"encoder\.enabled=True, and the student False"),
        ("encoder", "filters", 32, r"encoder\.filters=64, and the student 32"),
        ("generator", "architecture", "pix2pixhd", "feature_weight=1.0: only .* spade .* give 0"),
    ],
)
def test_a_teacher_that_does_not_fit_is_named_with_the_way_out(
    teacher, section, name, value, remedy
):
    config = dataclasses.replace(teacher[0], teacher=teacher[1])
    check_teacher(config, ["sky", "sea"])
    changed = dataclasses.replace(getattr(config, section), **{name: value})
    with pytest.raises(ConfigError, match=remedy) as caught:
        check_teacher(dataclasses.replace(config, **{section: changed}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("class_names", "message"),
    [
        (["sky", "sea", "sand"], "teacher has 2 classes, and the data set 3; give a teacher"),
        (["sky", "land"], "a class 'sea' where the data set has 'land'"),
    ],
)
def test_a_teacher_of_other_labels_is_refused(teacher, class_names, message):
    config = dataclasses.replace(teacher[0], teacher=teacher[1])
    with pytest.raises(ConfigError, match=message):
        check_teacher(config, class_names)


def test_no_teacher_is_no_error_and_a_missing_one_is_named(teacher, tmp_path):
    config = teacher[0]
    check_teacher(config)
    config.teacher = str(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"--config\.teacher=.*nowhere: no such folder; give the"):
        check_teacher(config)
    config.teacher = str(tmp_path)
    with pytest.raises(ConfigError, match=r"--config\.teacher=.*: no config\.json in it"):
        check_teacher(config)
    config.teacher = teacher[1]
    config.loss.distillation_output_weight = config.loss.distillation_feature_weight = 0.0
    with pytest.raises(ConfigError, match="nothing would be learned from it with both weights 0"):
        check_teacher(config)


def test_the_student_of_the_landscapes_fits_its_teacher(tmp_path):
    write_workdir(landscapes.get_config(), tmp_path, LABELS, "data")
    config = landscapes_student.get_config()
    config.teacher = str(tmp_path)
    validate(config)
    check_teacher(config, LABELS["class_names"])
    assert config.generator.filters < landscapes.get_config().generator.filters
