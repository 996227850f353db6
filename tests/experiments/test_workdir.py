"""What a workdir that was begun with other settings asks for, the command line takes."""

import re

import pytest

from experiments import landscapes, landscapes_student
from experiments.setup.config import ConfigError
from experiments.setup.effects import lacks_for_effect
from experiments.setup.workdir import check_same, write_workdir


def begun(config, folder):
    """The folder as the workdir of a training that has a checkpoint."""
    write_workdir(config, folder, {}, "data")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "step-1.index").touch()
    return folder


def test_a_setting_without_effect_is_neither_named_nor_asked_for(tmp_path):
    """`projected` has no U-Net that could see the picture at full resolution."""
    named = {"discriminator.architecture": "projected", "loss.feature_matching_weight": 2.0}
    first = landscapes.get_config()
    first.change({**named, "discriminator.full_resolution": False})
    workdir, config = begun(first, tmp_path), landscapes.get_config()
    assert config.discriminator.full_resolution
    with pytest.raises(ConfigError, match="begun with") as raised:
        check_same(config, workdir)
    flags = re.findall(r"--config\.([\w.]+)=(\S+)", str(raised.value))
    assert flags == [(key, str(value)) for key, value in named.items()]
    config.change(named)
    assert not any(lacks_for_effect(config, key) for key in named)
    check_same(config, workdir)


def test_a_setting_that_has_an_effect_again_is_named(tmp_path):
    first = landscapes.get_config()
    first.discriminator.full_resolution = False
    with pytest.raises(ConfigError, match=r"begun with discriminator\.full_resolution=False"):
        check_same(landscapes.get_config(), begun(first, tmp_path))


def test_another_experiment_and_its_teacher_are_named_at_once(tmp_path):
    first = landscapes_student.get_config()
    first.teacher = "runs/taught"
    with pytest.raises(ConfigError) as raised:
        check_same(landscapes.get_config(), begun(first, tmp_path))
    said = str(raised.value)
    assert "begun with the experiment landscapes_student: teacher='runs/taught', not ''" in said
    assert "--config.teacher=runs/taught --config.generator.filters=" in said
