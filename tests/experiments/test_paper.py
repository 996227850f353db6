"""The paper's experiments: that all can be trained, and differ in what they say they differ in."""

import importlib
import re

import pytest

from experiments.command_line.experiment import EXPERIMENTS, load_config, load_variants, names
from experiments.commands.train import check_training
from experiments.setup.config import ConfigError
from experiments.setup.networks import make_generator
from experiments.setup.validation import validate
from pipelines.schema import LabelSet

TABLES = [
    name for name in names() if hasattr(importlib.import_module(f"experiments.{name}"), "VARIANTS")
]


def config_of(chosen):
    config, _ = load_config("landscapes", [f"--config={chosen}"])
    return config


@pytest.mark.parametrize("name", TABLES)
def test_every_variant_can_be_trained_and_is_another(name):
    seen = []
    for variant, (title, config) in load_variants(name).items():
        validate(config)
        assert title
        assert config.name == f"{name}_{variant}"
        values = {key: value for key, value in config.to_dict().items() if key != "name"}
        assert values not in seen
        seen.append(values)
    # Without a variant, it is the first one.
    first = {key: value for key, value in config_of(name).to_dict().items() if key != "name"}
    assert first == seen[0]


def test_layers_of_few_channels_can_be_normalised_by_groups():
    labels = LabelSet(
        ("sky", "ground"), ((0, 0, 0), (9, 9, 9)), has_unknown=False, has_instance=True
    )
    generator = make_generator(config_of("ablations:group_norm"), labels)
    # The last block has fewer channels than the 32 groups of the first.
    assert [block.conv_1.kernel.shape[-1] for block in generator.blocks][-1] < 32


@pytest.mark.parametrize("name", names())
def test_docstrings_say_what_it_is_how_to_run_it_and_what_to_expect(name):
    text = (EXPERIMENTS / f"{name}.py").read_text().split('"""')[1]
    for part in ("Command: python run.py", "Cost: ", "Reference: "):
        assert part in text
    for chosen in re.findall(r"--config=(\w+:?\w*)", text):
        assert config_of(chosen).name == chosen.replace(":", "_")


def changes(chosen, base):
    """What an experiment has and another one has not, by key."""
    ours, theirs = config_of(chosen).to_dict(), config_of(base).to_dict()
    return {
        f"{section}.{key}": value
        for section in (
            "data",
            "generator",
            "discriminator",
            "encoder",
            "loss",
            "optimizer",
            "train",
        )
        for key, value in ours[section].items()
        if value != theirs[section][key]
    }


@pytest.mark.parametrize(
    ("chosen", "base", "expected"),
    [
        ("kernel_size:kernel_5_ade20k", "ade20k", {"generator.kernel_size": 5}),
        ("kernel_size:kernel_3_cityscapes", "cityscapes", {}),
        ("capacity:filters_48_coco_stuff", "coco_stuff", {"generator.filters": 48}),
        ("generator_input:noise_cityscapes", "cityscapes", {"generator.z_dim": 256}),
        ("norm_types:instance_ade20k", "ade20k", {"generator.norm": "instance"}),
        (
            "decoder_concat:concat_ade20k",
            "ade20k",
            {"generator.conditioning": "affine", "generator.concat": "convs"},
        ),
        (
            "pix2pixhdpp:plain_ade20k",
            "ade20k",
            {"generator.conditioning": "affine", "generator.architecture": "pix2pixhd"},
        ),
        ("pix2pixhdpp:spade_ade20k", "ade20k", {"generator.architecture": "pix2pixhd"}),
        (
            "pix2pixhd:official_ade20k",
            "pix2pixhd:paper_ade20k",
            {"generator.down_padding": "zeros"},
        ),
        ("loss_terms:no_perceptual_coco_stuff", "coco_stuff", {"loss.perceptual_weight": 0.0}),
        (
            "flickr_landscapes:official",
            "flickr_landscapes",
            {
                "optimizer.beta_2": 0.9,
                "loss.vgg_preprocessing": "none",
                "train.average_decay": 0.0,
            },
        ),
    ],
)
def test_experiments_differ_in_what_they_name(chosen, base, expected):
    assert changes(chosen, base) == expected


def test_the_release_needs_the_weights_that_it_used(tmp_path):
    where = {"data_dir": tmp_path, "workdir": tmp_path / "w"}
    config = config_of("ade20k:official")
    with pytest.raises(ConfigError, match=r"torchvision's weights.*vgg19\.pth"):
        check_training(config, **where)
    config.loss.vgg_weights = str(tmp_path / "vgg19.pth")
    with pytest.raises(ConfigError, match="no such file"):
        check_training(config, **where)
