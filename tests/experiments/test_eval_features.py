"""The image metrics of a training, as its settings ask for them."""

import json

import pytest
import tensorflow as tf
from tiny_experiment import get_config

from experiments.commands.train import train
from experiments.setup import callbacks
from experiments.setup.config import ConfigError
from experiments.setup.effects import lacks_for_effect
from experiments.setup.feature_networks import FeatureNetwork
from experiments.setup.validation import validate


@pytest.mark.parametrize("keep", ["l1", "frechet_distance", "kernel_distance"])
def test_a_training_keeps_the_best_by_the_score_that_is_asked_for(
    keep, small, data_dir, tmp_path, monkeypatch
):
    def network(name, flag):
        assert (name, flag) == ("alexnet", "--config.train.eval_features")
        return FeatureNetwork(name, 8, 3, "0", lambda image: tf.reduce_mean(image, [1, 2]))

    monkeypatch.setattr(callbacks, "load_feature_network", network)
    small.train.eval_every, small.train.eval_features, small.train.keep_best = 2, "alexnet", keep
    assert train(small, data_dir=data_dir, workdir=tmp_path / "run", strategy="one") == 4
    lines = (tmp_path / "run" / "evaluation.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["step"] for record in records] == [2, 4]
    key = "evaluation/inference/l1" if keep == "l1" else f"evaluation/{keep}"
    best = min(records, key=lambda record: record[key])["step"]
    names = [path.name for path in (tmp_path / "run" / "best").glob("*.index")]
    assert names == [f"step-{best}.index"]
    assert records[0]["evaluation/frechet_distance"] >= 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep_best": "fid"}, "--config.train.keep_best=fid: give one of l1, frechet_distance"),
        ({"keep_best": "kernel_distance"}, "--config.train.keep_best=kernel_distance: it needs a"),
        ({"eval_features": "resnet"}, "--config.train.eval_features=resnet: give one of effic"),
        ({"eval_features": "inception"}, "--config.train.eval_features=inception: give one of"),
        ({"eval_images": -1}, "--config.train.eval_images=-1: give 0 or more"),
        ({"eval_images": 1}, "--config.train.eval_images=1: give 2 or more"),
    ],
)
def test_settings_that_cannot_be_used(settings, message):
    config = get_config()
    for name, value in settings.items():
        setattr(config.train, name, value)
    with pytest.raises(ConfigError, match=message):
        validate(config)


@pytest.mark.parametrize(
    ("section", "name", "value", "network"),
    [
        ("loss", "perceptual_weight", 10.0, "vgg16"),
        ("discriminator", "architecture", "projected", "efficientnet_lite0"),
    ],
)
def test_a_network_of_the_training_does_not_score_it(section, name, value, network):
    config = get_config()
    config.train.eval_features = network
    validate(config)
    setattr(getattr(config, section), name, value)
    with pytest.raises(
        ConfigError, match=rf"--config\.train\.eval_features={network}: .* flatters it"
    ):
        validate(config)


def test_settings_that_need_an_evaluation():
    config = get_config()
    for name in ("eval_features", "eval_images", "keep_best"):
        assert lacks_for_effect(config, f"train.{name}").startswith("--config.train.eval_every")
    config.train.eval_every = 10
    assert not lacks_for_effect(config, "train.keep_best")
    assert lacks_for_effect(config, "train.eval_images")
