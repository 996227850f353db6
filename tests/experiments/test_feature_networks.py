"""Feature networks as `evaluate` and `train` load them."""

import re

import keras
import numpy as np
import pytest
from inception_weights import PICTURE, draw_tensors, load_goldens

from experiments.command_line.main import main
from experiments.setup.config import ConfigError
from experiments.setup.feature_networks import (
    check_independent,
    content_hash,
    load_inception_network,
)
from spade_tf.convert.torch_file_writing import write_state_dict


def test_inception_scales_pictures_as_tensorflow_1(tmp_path):
    write_state_dict(tmp_path / "w.pth", draw_tensors())
    network = load_inception_network(tmp_path / "w.pth")
    features = network.features(PICTURE.astype(np.float32) / 127.5 - 1)[0]
    # float32 against float64; half a pixel off, or antialiased, features differ by 0.1 and more.
    np.testing.assert_allclose(features, load_goldens()["scaled_features"], atol=3e-4)
    assert (network.num_features, network.size) == (2048, 299)
    # These are not the published weights: their distance is not called FID.
    assert not network.is_fid


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--features=inception"], "--inception_weights: required with --features=inception"),
        (["--inception_weights=w.pth"], "--inception_weights=w.pth: no effect without --features"),
        (
            ["--features=alexnet,inception", "--inception_weights={}/none.pth"],
            "none.pth: no such file; give pt_inception-2015-12-05-6726825d.pth",
        ),
        (["--features=inception", "--inception_weights={}"], "={}: no such file; give pt_incep"),
        (
            # LPIPS's own weights, which need a package, are looked for before.
            ["--features=inception", "--inception_weights={}/text.pth", "--nolpips"],
            "--inception_weights={}/text.pth: ",
        ),
    ],
)
def test_weights_that_are_none(flags, message, workdir, tmp_path, capsys):
    (tmp_path / "text.pth").write_text("hello")
    flags = [flag.format(tmp_path) for flag in flags]
    arguments = [f"--model={workdir}", f"--output_dir={tmp_path / 'out'}", "--cache_dir="]
    assert main(["evaluate", *arguments, *flags]) == 2
    error = capsys.readouterr().err
    assert message.format(tmp_path) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_network_of_the_loss_does_not_score():
    with pytest.raises(ConfigError, match=re.escape("--features=vgg16: ") + ".*lite2, eff"):
        check_independent("--features", "vgg16", ("vgg16", "vgg19"))
    check_independent("--features", "alexnet", ("vgg16", "vgg19"))


def test_a_network_with_dropout_is_known_again():
    def network():
        layers = [keras.layers.Dense(2, kernel_initializer="ones"), keras.layers.Dropout(0.5)]
        model = keras.Sequential(layers)
        model.build((None, 3))
        return model

    assert content_hash(network()) == content_hash(network())
    other = network()
    other.set_weights([weight + 1 for weight in other.get_weights()])
    assert content_hash(network()) != content_hash(other)
