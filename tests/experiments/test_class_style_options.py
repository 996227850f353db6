"""Styles of classes by the settings of an experiment: what goes together, and what is made."""

import numpy as np
import pytest
from tiny_experiment import get_config

from experiments.commands.export.web import check_paintable
from experiments.setup.config import Config, ConfigError
from experiments.setup.effects import lacks_for_effect
from experiments.setup.initialization import _check_settings
from experiments.setup.networks import make_encoder, make_generator
from experiments.setup.validation import validate
from pipelines.schema import LabelSet
from spade_tf.networks import ClassEncoder, ConvEncoder

LABELS = LabelSet(("sky", "sea"), ((0, 0, 0),) * 3, True, False)


def config(**changes):
    made = get_config()
    made.change(
        {"generator.class_style_dim": 4, "encoder.per_class": True}
        | {name.replace("__", "."): value for name, value in changes.items()}
    )
    return made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator__conditioning": "clade"}, "styles of classes need generator.conditioning=spa"),
        ({"generator__architecture": "pix2pixhd"}, "need generator.architecture=spade, not pix2"),
        ({"data__use_canvas": True}, "a canvas is no class"),
        ({"train__rematerialize": True}, "class_style_dim=4: styles of classes would get no grad"),
        ({"encoder__per_class": False}, "encoder.per_class=False: with generator.class_style_dim"),
        ({"generator__class_style_dim": 0}, "generator.class_style_dim=0: encoder.per_class needs"),
        ({"generator__class_style_dim": -1}, "generator.class_style_dim=-1: give 0 or more"),
    ],
)
def test_what_does_not_go_together(changes, message):
    with pytest.raises(ConfigError, match=message):
        validate(config(**changes))


@pytest.mark.parametrize("z_dim", [0, 8])
def test_the_networks_that_are_made(z_dim):
    made = config(generator__z_dim=z_dim)
    validate(made)
    generator, encoder = make_generator(made, LABELS), make_encoder(made, LABELS)
    assert generator.class_style_dim == encoder.class_style_dim == 4
    assert isinstance(encoder, ClassEncoder)
    assert encoder.num_labels == generator.num_labels == 3
    assert encoder.z_dim == generator.z_dim == (z_dim or None)
    image = np.zeros((1, 64, 64, 3), np.float32)
    assert encoder(image, np.zeros((1, 64, 64), np.int32))[0].shape == (1, z_dim + 3 * 4)


def test_drawn_styles_need_no_encoder():
    made = config(encoder__enabled=False, encoder__per_class=False, generator__z_dim=0)
    validate(made)
    assert make_encoder(made, LABELS) is None
    assert "encoder.enabled" in lacks_for_effect(made, "encoder.per_class")


def test_without_them_networks_are_as_before():
    made = get_config()
    assert isinstance(make_encoder(made, LABELS), ConvEncoder)
    generator = make_generator(made, LABELS)
    assert not any("style" in variable.path for variable in generator.variables)
    # A configuration that an earlier version wrote.
    earlier = made.to_dict()
    del earlier["generator"]["class_style_dim"], earlier["encoder"]["per_class"]
    assert Config.from_dict(earlier) == made


def test_a_painter_of_static_files_does_not_know_them():
    with pytest.raises(ConfigError, match=r"--format=web: tiny has styles of classes .*_dim=4"):
        check_paintable(config(), LABELS)


def test_a_training_that_starts_from_another_has_the_same():
    with pytest.raises(ConfigError, match=r"class_style_dim=0, and this one 4; give --config.gen"):
        _check_settings(config(), get_config())
