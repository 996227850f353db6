"""Fine-tuning: `train --init_from`, shown on one class more."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tiny_experiment import get_config

from experiments.commands.train import train
from experiments.setup.assemble import make_gaugan
from experiments.setup.config import ConfigError
from experiments.setup.initialization import follow_init_from, initialize, match_classes
from experiments.setup.trained_model import load_workdir
from experiments.setup.workdir import write_workdir
from pipelines.prepare.prepare import prepare
from pipelines.schema import LabelSet, default_palette
from spade_tf.training.checkpoints import Checkpoints


def labels(names, has_unknown=True):
    return LabelSet(tuple(names), default_palette(len(names), has_unknown), has_unknown, True)


def clade_config():
    """Of the conditioning whose networks are made fastest."""
    config = get_config()
    config.generator.conditioning = "clade"
    return config


def fresh(config, label_set):
    config.train.average_decay = 0.9
    config.data.use_instance = True
    return make_gaugan(config, label_set)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """The workdir of a training of four steps on four classes."""
    workdir = tmp_path_factory.mktemp("runs") / "old"
    config, old = clade_config(), labels([f"class {index}" for index in range(4)])
    model = fresh(config, old)
    Checkpoints(model, workdir / "checkpoints").save(4)
    write_workdir(config, workdir, old.to_metadata(), "data")
    return workdir


@pytest.fixture
def config(workdir):
    config = clade_config()
    config.init_from = str(workdir)
    return config


def test_a_class_more_starts_with_the_old_pictures(config, workdir):
    old = load_workdir(workdir)
    new = labels([f"class {index}" for index in range(5)])
    model = fresh(config, new)
    lines = initialize(model, config, new)
    assert lines[0] == f"starting from step 4 of {workdir}"
    assert "classes matched by id: 4 of 5; new: class 4" in lines
    random = np.random.default_rng(0)
    before = random.integers(0, 5, (2, 8, 8)).repeat(8, 1).repeat(8, 2)
    # Unknown was id 4 and is now id 5.
    after = np.where(before == 4, 5, before)
    instance = tf.constant(before // 2)
    z = tf.constant(random.normal(size=(2, 8)), tf.float32)
    expected = old.generator({"label": tf.constant(before), "instance": instance}, z=z)
    assert np.ptp(expected) > 1e-4
    for generator in (model.generator, model.average_generator):
        actual = generator({"label": tf.constant(after), "instance": instance}, z=z)
        # Sums over one channel more, which is zero, in another order.
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)
    for ours, theirs in zip(model.encoder.variables, old.encoder.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(model.step) == int(model.generator_optimizer.iterations) == 0


def test_classes_are_matched_by_name_where_both_have_names():
    new, old = labels(["tree", "sky", "river"]), labels(["sky", "sea", "tree"])
    channels, lines = match_classes(new, old)
    assert channels == [2, 0, None]
    assert lines == ["classes matched by name: 2 of 3; new: river; left out: sea"]
    nameless = labels([f"class {index}" for index in range(3)])
    channels, lines = match_classes(labels(["tree", "sky"]), nameless)
    assert channels == [0, 1]
    assert lines == ["classes matched by id: 2 of 2; left out: class 2"]


def test_another_make_is_refused_by_the_tensor_s_name(config, workdir):
    new = labels([f"class {index}" for index in range(5)])
    config.generator.filters = 4
    with pytest.raises(ConfigError, match=r"--init_from=.*generator/\S+ is \[.*\] in the source"):
        initialize(fresh(config, new), config, new)
    config.generator.conditioning = "spade"
    with pytest.raises(ConfigError, match="has conditioning=clade, and this one spade; give --con"):
        follow_init_from(config, workdir.parent / "new")


def test_a_source_without_noise_is_refused_by_the_setting_s_name(config, workdir):
    config.generator.noise_inputs = True
    remedy = "has noise_inputs=False, and this one True; give --config.generator.noise_inputs=False"
    with pytest.raises(ConfigError, match=remedy):
        follow_init_from(config, workdir.parent / "new")


def test_noise_that_has_no_effect_is_no_difference(config, tmp_path):
    config.generator.architecture = "pix2pixhd"
    write_workdir(config, tmp_path / "old", labels(["sky"]), "data")
    (tmp_path / "old" / "checkpoints").mkdir()
    (tmp_path / "old" / "checkpoints" / "step-1.index").write_bytes(b"")
    config.generator.noise_inputs = True
    config.init_from = str(tmp_path / "old")
    assert follow_init_from(config, tmp_path / "new").init_from == config.init_from


@pytest.mark.parametrize("count", [4, 5])
def test_a_discriminator_of_another_kind_starts_new(config, workdir, count):
    old = load_workdir(workdir)
    new = labels([f"class {index}" for index in range(count)])
    config.discriminator.architecture = "segmentation"
    model = fresh(config, new)
    weights = model.discriminator.get_weights()
    assert "its discriminator: patch; this one is new" in initialize(model, config, new)
    for ours, before in zip(model.discriminator.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, before)
    for ours, theirs in zip(model.encoder.variables, old.encoder.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_place_without_a_training_is_refused(config, tmp_path):
    config.init_from = str(tmp_path)
    with pytest.raises(ConfigError, match=f"--init_from={tmp_path}: neither the --workdir"):
        follow_init_from(config, tmp_path / "new")


def test_a_fine_tuned_run_goes_on_without_its_source(small, source_dir, tmp_path, capsys):
    prepare("paired_folder", source_dir=source_dir, data_dir=tmp_path / "data", num_classes=5)
    source, new = tmp_path / "old", tmp_path / "new"
    old = labels([f"class {index}" for index in range(4)])
    Checkpoints(make_gaugan(small, old), source / "checkpoints").save(4)
    write_workdir(small, source, old.to_metadata(), "data")
    small.train.steps = 2
    common = {"data_dir": tmp_path / "data", "workdir": new, "strategy": "one"}
    checkpoint = source / "checkpoints" / "step-4"
    assert train(small, init_from=str(checkpoint), **common) == 2
    assert f"starting from step 4 of {checkpoint}" in capsys.readouterr().err
    recorded = json.loads((new / "config.json").read_text())["config"]["init_from"]
    assert recorded == str(checkpoint)
    shutil.rmtree(source)
    small.train.steps = 3
    with pytest.raises(ConfigError, match=r"was begun from .*step-4; leave the flag out"):
        train(small, init_from=str(tmp_path), **common)
    assert train(small, **common) == 3
    said = capsys.readouterr().err
    assert "starting from" not in said
    assert "done already" not in said
    assert train(small, **common) == 3
    assert "3 steps are done already; for more, give a higher" in capsys.readouterr().err
    assert json.loads((new / "config.json").read_text())["config"]["init_from"] == recorded
