"""Keras files of an earlier version are read, and compute the same; see tests/goldens/earlier."""

from pathlib import Path

import keras
import numpy as np
import pytest
from archives import unpack

from spade_tf import Conditioning, Pix2PixHDGenerator, SPADEGenerator, load_model
from spade_tf.layers import SPADE, SPADEResnetBlock

EARLIER = Path(__file__).parents[1] / "goldens" / "earlier"
# Other processors and versions add up float32 in another order.
ROUNDING = 1e-4


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier")
    unpack(EARLIER / "keras.tar.xz", folder)
    return folder, np.load(folder / "outputs.npz")


def label(size):
    return (np.arange(32 * 32).reshape(1, 32, 32) // 7 % 3).astype("int32")[:, :size, :size]


@pytest.mark.parametrize(
    ("name", "size", "kind", "conditioning"),
    [
        (
            "generator",
            32,
            SPADEGenerator,
            Conditioning("spade", "instance", 2, 1, concat="blocks", form="dense"),
        ),
        ("pix2pixhd", 16, Pix2PixHDGenerator, Conditioning("spade", "batch", 2, 3, concat="convs")),
    ],
)
def test_a_generator_is_read(earlier, name, size, kind, conditioning):
    folder, outputs = earlier
    network = load_model(folder / f"{name}.keras")
    assert type(network) is kind
    assert network.conditioning == conditioning
    assert np.std(outputs[name]) > 0.05
    np.testing.assert_allclose(network(label(size)), outputs[name], rtol=0, atol=ROUNDING)


def test_layers_of_a_functional_model_are_read(earlier):
    folder, outputs = earlier
    model = load_model(folder / "layers.keras")
    (spade,) = (layer for layer in model.layers if isinstance(layer, SPADE))
    (block,) = (layer for layer in model.layers if isinstance(layer, SPADEResnetBlock))
    assert spade.form == "dense"
    assert block.conditioning == Conditioning(
        "spade", "layer", hidden_filters=2, concat="convs", form="deduplicated"
    )
    x = np.linspace(-1, 1, 128, dtype="float32").reshape(1, 8, 8, 2)
    assert np.std(outputs["layers"]) > 0.05
    np.testing.assert_allclose(
        model([x, label(8)]), outputs["layers"], rtol=ROUNDING, atol=ROUNDING
    )


def test_what_is_written_today_has_one_conditioning(tmp_path):
    conditioning = Conditioning("clade", norm="instance", concat="blocks")
    network = SPADEGenerator(3, (32, 32), filters=1, conditioning=conditioning)
    assert network.get_config()["conditioning"] == conditioning._asdict()
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert loaded.conditioning == conditioning
    assert loaded.get_config() == network.get_config()
