"""What users import: every name is there, and importing the package costs nothing."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import spade_tf
from spade_tf import ConvEncoder, ModelFileError, load_model

PACKAGES = ("", ".layers", ".networks", ".losses", ".metrics", ".training", ".export", ".convert")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package):
    module = importlib.import_module(f"spade_tf{package}")
    assert module.__all__
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        assert value.__module__.startswith("spade_tf."), name
        assert value.__doc__, name
        assert name in dir(module)


def test_a_name_that_is_not_there_says_so():
    with pytest.raises(AttributeError, match="module 'spade_tf' has no attribute 'SPADES'"):
        _ = spade_tf.SPADES


def test_importing_the_packages_imports_no_tensorflow():
    lazy = ["", ".networks", ".losses", ".training", ".export", ".serving", ".convert"]
    code = "import sys\n"
    code += "".join(f"import spade_tf{package}\n" for package in lazy)
    code += "loaded = {'tensorflow', 'keras', 'starlette', 'grpc'} & set(sys.modules)\n"
    code += "assert not loaded, loaded\n"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_names_together_import_tensorflow_and_keras_alone():
    """What takes as long to import again, and is for commands, servers and data sets."""
    code = "import sys, tensorflow, keras\n"
    code += "before = {name.partition('.')[0] for name in sys.modules}\n"
    code += "import spade_tf\n"
    code += "for name in spade_tf.__all__: getattr(spade_tf, name)\n"
    code += "new = {name.partition('.')[0] for name in sys.modules} - before\n"
    code += "assert new == {'spade_tf'}, new\n"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_files_of_all_classes_can_be_loaded():
    """In a process that has imported no network."""
    folder = Path(spade_tf.__file__).parent
    modules = {
        ".".join(path.relative_to(folder.parent).with_suffix("").parts)
        for path in folder.rglob("*.py")
        if "@keras.saving.register_keras_serializable" in path.read_text()
    }
    code = "import sys\n"
    code += "import spade_tf.loading\n"
    code += f"missing = {modules} - set(sys.modules)\n"
    code += "assert not missing, missing\n"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_keras_file_comes_back(tmp_path):
    encoder = ConvEncoder(4, filters=1, image_size=(16, 16), num_layers=2)
    encoder.save(tmp_path / "encoder.keras")
    loaded = load_model(tmp_path / "encoder.keras")
    assert isinstance(loaded, ConvEncoder)
    image = np.linspace(-1, 1, 16 * 16 * 3, dtype="float32").reshape(1, 16, 16, 3)
    np.testing.assert_array_equal(loaded(image), encoder(image))


class Served(tf.Module):
    """Adds its number and the seed to the label map."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None], tf.int32, name="label"),
            tf.TensorSpec([None], tf.int64, name="seed"),
        ]
    )
    def serve(self, label, seed):
        moved = label + self.number + tf.cast(seed, tf.int32)[:, None, None]
        return {"image": tf.cast(moved[..., None], tf.uint8)}


def test_the_newest_version_of_an_export_is_loaded_unless_one_is_named(tmp_path):
    for number in (3, 12):
        module = Served(number)
        signatures = {"serving_default": module.serve}
        tf.saved_model.save(module, str(tmp_path / str(number)), signatures)
    inputs = {"label": tf.ones([1, 2, 2], tf.int32), "seed": tf.constant([4], tf.int64)}
    for path, expected in ((tmp_path, 1 + 12 + 4), (tmp_path / "3", 1 + 3 + 4)):
        image = load_model(path)(inputs)["image"]
        np.testing.assert_array_equal(image, np.full((1, 2, 2, 1), expected))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (None, "no such file or folder"),
        ("config.json", "the workdir of a training; export it"),
        ("picture.png", "neither a .keras file nor an export"),
    ],
)
def test_what_is_no_model_is_named(tmp_path, made, message):
    path = tmp_path / "model"
    if made is not None:
        path.mkdir()
        (path / made).touch()
    with pytest.raises(ModelFileError, match=message) as error:
        load_model(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
