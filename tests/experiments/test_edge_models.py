"""`generate` and `evaluate` with LiteRT files: the pictures that the trained model makes."""

import json
import shutil
from functools import cache

import numpy as np
import pytest
from PIL import Image

from experiments.command_line.main import main
from experiments.commands.export.export import export
from experiments.setup.config import ConfigError
from experiments.setup.predictors import load_model
from experiments.setup.trained_model import load_workdir

VARIANTS = ("float32", "int8", "ids_float32")


@pytest.fixture(scope="module")
def exported(workdir, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.setup.trained_model.load_workdir", cache(load_workdir))
        # Two filters after four training steps are not accurate in int8.
        return export(
            workdir,
            formats=["litert"],
            output_dir=tmp_path_factory.mktemp("models"),
            variants=VARIANTS,
            allow_below_bound=("int8",),
        )


@pytest.fixture(scope="module")
def maps(workdir):
    height, width = load_model(workdir).image_size
    ids = np.arange(2 * height * width).reshape(2, height, width)
    return {"label": ids // 511 % 5, "instance": ids // 300 % 7}


def differences(one, other):
    return np.abs(one.astype(int) - other.astype(int))


@pytest.mark.parametrize("variant", ["float32", "ids_float32"])
def test_pictures_are_those_of_the_trained_model(variant, workdir, exported, maps):
    trained, edge = load_model(workdir), load_model(exported / f"generator_{variant}.tflite")
    assert (edge.labels, edge.z_dim, edge.image_size, edge.use_instance) == (
        trained.labels,
        trained.z_dim,
        trained.image_size,
        trained.use_instance,
    )
    z = np.random.default_rng(0).normal(size=(2, 3, trained.z_dim)).astype("float32")
    for styles in (z, z[:, :1]):
        made = edge.generate(maps, styles)
        assert made.dtype == np.uint8
        # Rounding may fall to the next of 256 levels.
        assert differences(made, trained.generate(maps, styles)).max() <= 1
    assert differences(edge.generate(maps, z)[:, 0], edge.generate(maps, z)[:, 1]).max() > 1


def test_int8_makes_similar_pictures(exported, maps):
    whole, small = (
        load_model(exported / f"generator_{name}.tflite") for name in ("float32", "int8")
    )
    z = np.random.default_rng(0).normal(size=(2, 1, whole.z_dim)).astype("float32")
    # Far from the 128 of two pictures that have nothing to do with one another.
    assert differences(small.generate(maps, z), whole.generate(maps, z)).mean() < 20


def test_photographs_have_the_styles_of_the_trained_model(workdir, exported):
    trained, edge = load_model(workdir), load_model(exported / "generator_float32.tflite")
    assert edge.has_encoder
    levels = np.random.default_rng(0).integers(0, 256, (2, *trained.image_size, 3))
    image = (levels / 127.5 - 1.0).astype("float32")
    # Float32 sums in another order.
    np.testing.assert_allclose(edge.encode(image), trained.encode(image), atol=1e-4)


def test_generate_takes_a_file(exported, tmp_path, maps):
    folder = tmp_path / "maps"
    folder.mkdir()
    for name, ids in zip("ab", maps["label"], strict=True):
        Image.fromarray(np.where(ids == 4, 255, ids).astype("uint8")).save(folder / f"{name}.png")
    model = exported / "generator_float32.tflite"
    flags = [f"--labels={folder}", f"--output_dir={tmp_path / 'out'}", "--num_samples=2"]
    assert main(["generate", f"--model={model}", *flags]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"a_0.png", "a_1.png", "b_0.png", "b_1.png", "overview.png"}


def test_a_map_of_another_size_is_refused(exported, maps):
    edge = load_model(exported / "generator_float32.tflite")
    small = {key: value[:, :32, :32] for key, value in maps.items()}
    with pytest.raises(ConfigError, match="a label map of 32x32"):
        edge.generate(small, np.zeros([2, 1, edge.z_dim]))


@pytest.fixture
def copied(exported, tmp_path):
    """The files of an export, to be damaged."""
    return shutil.copytree(exported, tmp_path / "copied")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "generator_float32.json is not beside it"),
        ("not JSON", "cannot be read"),
        ("{}", "does not say how its model was trained"),
        ("[]", "does not say how its model was trained"),
    ],
)
def test_a_file_without_its_description_is_refused(text, said, copied):
    facts = copied / "generator_float32.json"
    facts.unlink()
    if text is not None:
        facts.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_model(copied / "generator_float32.tflite")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"export": {}}, "does not describe an export"),
        ({"size_bytes": 5}, "speaks of a file of 5; copy both from one export"),
    ],
)
def test_a_description_of_another_file_is_refused(changes, said, copied):
    facts = copied / "generator_float32.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | changes))
    with pytest.raises(ConfigError, match=said):
        load_model(copied / "generator_float32.tflite")


def test_an_encoder_is_no_generator(exported):
    with pytest.raises(ConfigError, match="no generator, as it takes image; give the file of a"):
        load_model(exported / "encoder_float32.tflite")


def test_a_folder_or_nothing_is_named_as_what_it_is(exported):
    with pytest.raises(ConfigError, match="a folder of LiteRT files; give one"):
        load_model(exported)
    with pytest.raises(ConfigError, match=r"other\.tflite: no such file"):
        load_model(exported / "other.tflite")


def test_the_encoder_of_another_model_is_refused(copied):
    image = np.zeros([1, 64, 64, 3], "float32")
    facts = copied / "encoder_float32.json"
    other = {"model": {"name": "tiny", "step": 3}}
    facts.write_text(json.dumps(json.loads(facts.read_text()) | other))
    with pytest.raises(ConfigError, match="the encoder of another model than generator_float32"):
        load_model(copied / "generator_float32.tflite").encode(image)
    for path in copied.glob("encoder_*"):
        path.unlink()
    with pytest.raises(ConfigError, match=r"its encoder, .* is not beside it; copy one there"):
        load_model(copied / "generator_float32.tflite").encode(image)


def test_a_damaged_file_is_named(copied, maps):
    model = copied / "generator_float32.tflite"
    model.write_bytes(bytes(model.stat().st_size))
    edge = load_model(model)
    with pytest.raises(ConfigError, match=r"generator_float32\.tflite: no LiteRT model"):
        edge.generate(maps, np.zeros([2, 1, edge.z_dim]))


def test_a_file_is_not_served(exported, capsys):
    assert main(["serve", f"--model={exported / 'generator_float32.tflite'}"]) == 2
    assert "a file; give the folder that export wrote" in capsys.readouterr().err


def test_descriptions_name_no_folder_of_this_machine(exported):
    content = json.loads((exported / "generator_int8.json").read_text())["export"]
    assert content.keys() == {"config", "labels", "step"}
