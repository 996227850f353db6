import numpy as np
import pytest
from inception_weights import PICTURE, draw_tensors, load_goldens

from spade_tf.convert.errors import WeightsError
from spade_tf.convert.inception import is_published, load_inception
from spade_tf.convert.torch_file_writing import write_state_dict


@pytest.fixture(scope="module")
def tensors():
    return draw_tensors()


@pytest.fixture(scope="module")
def weights(tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    write_state_dict(path, tensors)
    return path


def test_features_of_an_independent_network(weights):
    network = load_inception(weights)
    # 94 convolutions, and the 21.8 million weights that are published without classifiers; a batch
    # norm's scale and shift are one bias here.
    assert len(network.conv_names) == 94
    count = sum(int(np.prod(variable.shape)) for variable in network.variables)
    biases = sum(variable.shape[0] for variable in network.variables if len(variable.shape) == 1)
    assert count + biases == 21_785_568
    features = network(PICTURE.astype(np.float32) / 127.5 - 1).numpy()[0]
    expected = load_goldens()["features"]
    # float32 against float64 over 94 convolutions; the values spread by 1.9.
    np.testing.assert_allclose(features, expected, atol=2e-4)


def test_a_tensor_that_does_not_fit_is_named(tensors, tmp_path):
    cut = {name: tensors[name] for name in ("fc.weight", "Conv2d_1a_3x3.conv.weight")}
    write_state_dict(tmp_path / "cut.pth", cut)
    with pytest.raises(WeightsError, match=r"cut\.pth: tensor Conv2d_1a_3x3\.bn\.weight .* none"):
        load_inception(tmp_path / "cut.pth")
    cut["Conv2d_1a_3x3.conv.weight"] = np.zeros([32, 3, 5, 5], np.float32)
    write_state_dict(tmp_path / "cut.pth", cut)
    with pytest.raises(WeightsError, match=r"must have shape \(32, 3, 3, 3\); .*\(32, 3, 5, 5\)"):
        load_inception(tmp_path / "cut.pth")


@pytest.mark.parametrize(
    ("tensors", "found"),
    [({"fc.weight": np.zeros([1000, 8], np.float32)}, "one of 1000"), ({}, "none")],
)
def test_another_network_is_refused(tensors, found, tmp_path):
    write_state_dict(tmp_path / "other.pth", {"x": np.zeros(1, np.float32), **tensors})
    with pytest.raises(WeightsError, match=rf"1008 classes, and this file has {found}; give pt_in"):
        load_inception(tmp_path / "other.pth")


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(WeightsError, match=r"text\.pth"):
        load_inception(tmp_path / "text.pth")
    with pytest.raises(WeightsError, match=r"none\.pth: No such file"):
        load_inception(tmp_path / "none.pth")


def test_other_weights_are_not_the_published_ones(weights):
    assert not is_published(weights)
