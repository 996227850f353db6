import dataclasses
import importlib
import json
import pkgutil

import pytest

import experiments
from experiments.setup import validation
from experiments.setup.config import Config, ConfigError
from experiments.setup.validation import validate
from experiments.setup.workdir import check_same, read_workdir, write_workdir

LABELS = {"class_names": ["a"], "palette": [[0, 0, 0]], "has_unknown": False, "has_instance": False}


def test_dictionary_round_trip_through_json():
    config = Config(name="x")
    config.train.steps = 7
    config.generator.norm = "instance"
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_key_that_does_not_exist_is_refused():
    values = Config().to_dict()
    values["train"]["step"] = 3
    with pytest.raises(ConfigError, match="train"):
        Config.from_dict(values)
    with pytest.raises(AttributeError):
        Config().train.step = 3


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("train.steps", "300", "--config.train.steps='300': give a whole number"),
        ("train.seed", True, "--config.train.seed=True: give a whole number"),
        ("loss.r1_weight", None, "--config.loss.r1_weight=None: give a number"),
        ("data.flip", 1, "--config.data.flip=1: give True or False"),
        ("data.use_instance", "no", "--config.data.use_instance='no': give True or False or None"),
        ("name", 3, "--config.name=3: give text in quotes"),
        ("generator", None, "--config.generator=None: give what the experiment had"),
    ],
)
def test_values_of_another_type_are_refused(key, value, said):
    config = Config()
    config.change({key: value})
    with pytest.raises(ConfigError) as raised:
        validate(config)
    assert str(raised.value) == said


def test_a_whole_number_is_a_number():
    config = Config()
    config.change({"loss.l1_weight": 1, "data.use_instance": None})
    validate(config)


def test_every_experiment_is_valid_and_says_what_it_is():
    names = [m.name for m in pkgutil.iter_modules(experiments.__path__)]
    found = []
    for name in names:
        module = importlib.import_module(f"experiments.{name}")
        if hasattr(module, "get_config"):
            found.append(name)
            validate(module.get_config())
            for part in ("Command:", "Cost:", "Reference:"):
                assert part in module.__doc__, f"{name} lacks {part}"
    assert {"landscapes", "coco_stuff", "paired_folder"} <= set(found)


@pytest.mark.parametrize(
    ("section", "name", "value", "remedy"),
    [
        ("data", "height", 100, "give 96"),
        ("data", "width", 16, "give 32"),
        ("data", "load_height", 100, "give 256 or more"),
        ("train", "batch_size", 0, "1 or more"),
        ("loss", "adversarial", "hing", "hinge"),
        ("generator", "norm", "syncbatch", "batch"),
        ("generator", "kernel_size", 4, "odd"),
        ("generator", "num_upsampling_layers", "some", "normal"),
        ("generator", "upsampling", "bicubic", "nearest, bilinear"),
        ("generator", "padding", "same", "zeros, reflect, replicate"),
        ("optimizer", "beta_1", 1.0, "less than 1"),
        ("optimizer", "generator_learning_rate", 0.0, "more than 0"),
        ("encoder", "enabled", True, "256"),
        ("discriminator", "architecture", "unet", "patch, projected, segmentation"),
        ("loss", "label_mix_weight", -1.0, "0 or more"),
        ("loss", "warmup_steps", -1, "0 or more"),
        ("loss", "warmup_steps", 100_000, "less than train.steps=100000"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_remedy(section, name, value, remedy):
    config = Config()
    validate(config)
    setattr(getattr(config, section), name, value)
    with pytest.raises(ConfigError, match=remedy) as caught:
        validate(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("architecture", validation.PIXEL_DISCRIMINATORS)
@pytest.mark.parametrize(
    ("section", "name", "value", "remedy"),
    [
        ("loss", "r1_weight", 1.0, "no score of being real to penalise: give 0"),
        ("data", "use_canvas", True, "needs label ids"),
    ],
)
def test_what_a_discriminator_of_pixels_cannot_have(architecture, section, name, value, remedy):
    config = Config()
    config.discriminator.architecture = architecture
    validate(config)
    setattr(getattr(config, section), name, value)
    with pytest.raises(ConfigError, match=f"{name}={value}.*{remedy}"):
        validate(config)


def test_a_warmup_needs_something_to_learn_from():
    config = Config()
    config.loss.warmup_steps = 10
    validate(config)
    config.loss.perceptual_weight = 0.0
    with pytest.raises(ConfigError, match=r"nothing to learn from: give loss\.l1_weight"):
        validate(config)
    config.loss.l1_weight = 4.0
    validate(config)


def test_reflection_needs_pixels_to_mirror():
    config = Config()
    config.data.height = 32
    config.generator.padding = "reflect"
    with pytest.raises(ConfigError, match=r"data\.height=32: with .* the least is 64: .*replicate"):
        validate(config)
    config.generator.padding = "replicate"
    validate(config)


@pytest.mark.parametrize(
    ("architecture", "size", "remedy"),
    [
        ("segmentation", 66, "needs a multiple of 4: give 64"),
        ("projected_segmentation", 72, "needs a multiple of 32: give 64"),
        ("projected", 24, "needs 32 or more: give 32"),
    ],
)
def test_discriminators_need_sizes_that_they_can_halve(architecture, size, remedy):
    config = Config()
    config.discriminator.architecture = architecture
    config.generator.architecture, config.generator.num_downsamplings = "pix2pixhd", 1
    config.data.height = size
    with pytest.raises(ConfigError, match=f"data.height={size}: .*{architecture} {remedy}"):
        validate(config)
    config.data.height = int(remedy.split()[-1])
    validate(config)


def test_a_size_to_give_instead_is_not_refused_in_turn():
    config = Config()
    config.data.height = 16
    config.generator.padding = "reflect"
    with pytest.raises(ConfigError, match=r"data\.height=16: .* give 64$"):
        validate(config)


def test_a_workdir_of_another_configuration_is_refused(tmp_path):
    config = Config()
    check_same(config, tmp_path)
    write_workdir(config, tmp_path, LABELS, "data")
    longer = dataclasses.replace(config, train=dataclasses.replace(config.train, steps=5))
    wider = dataclasses.replace(config, generator=dataclasses.replace(config.generator, filters=8))
    check_same(wider, tmp_path)
    # A checkpoint binds it.
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-1.index").touch()
    check_same(longer, tmp_path)
    with pytest.raises(ConfigError, match=r"generator\.filters=64, not 8"):
        check_same(wider, tmp_path)


@pytest.mark.parametrize("content", ["", "{", '{"config": {}}'])
def test_a_damaged_workdir_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=r"config\.json"):
        read_workdir(tmp_path)


def test_the_names_of_the_library_are_those_that_are_allowed():
    """They are listed twice, since a configuration is checked before TensorFlow is imported."""
    from spade_tf.layers import conditioning, padding
    from spade_tf.losses.adversarial import get_adversarial_loss
    from spade_tf.networks import backbones, discriminator, generator, upsampling

    assert validation.CONDITIONINGS == conditioning.CONDITIONINGS
    assert validation.PADDINGS == padding.PADDINGS
    assert validation.UPSAMPLINGS == upsampling.METHODS
    assert validation.DISCRIMINATOR_NORMS == discriminator.NORMS
    assert tuple(backbones.BACKBONES) == validation.BACKBONES
    scales = {name: 2**count for name, count in generator.UPSAMPLINGS.items()}
    assert scales == validation.UPSAMPLING_LAYERS
    for name in validation.ADVERSARIAL_LOSSES:
        get_adversarial_loss(name)
