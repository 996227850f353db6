"""What an export holds, and what it says of itself."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from experiments.commands.export.export import export
from experiments.commands.export.model_card import export_assets
from experiments.setup.models import ExportedModel
from experiments.setup.predictors import load_model
from experiments.setup.trained_model import load_workdir
from spade_tf.export.signatures import ServedModel

pytestmark = pytest.mark.usefixtures("loads_once")


def test_export_equals_keras_and_needs_no_code_of_the_project(workdir, exported, tmp_path):
    model = load_workdir(workdir)
    random = np.random.default_rng(0)
    label = random.integers(0, 5, (2, 8, 8)).repeat(8, 1).repeat(8, 2).astype(np.int32)
    z = random.standard_normal((2, 8)).astype(np.float32)
    np.savez(tmp_path / "inputs.npz", label=label, instance=label, z=z)
    script = (
        "import sys, numpy as np, tensorflow as tf\n"
        "x = dict(np.load(sys.argv[2]))\n"
        "signatures = tf.saved_model.load(sys.argv[1]).signatures\n"
        "y = {n: signatures[n](**{k: tf.constant(v) for k, v in x.items()})['image'].numpy()\n"
        "     for n in ('generate', 'generate_with_style')}\n"
        "assert not {'spade_tf', 'pipelines', 'experiments'} & set(sys.modules)\n"
        "np.savez(sys.argv[3], **y)\n"
    )
    arguments = [str(exported), str(tmp_path / "inputs.npz"), str(tmp_path / "outputs.npz")]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, cwd=tmp_path)
    with np.load(tmp_path / "outputs.npz") as outputs:
        expected = model.generator({"label": label, "instance": label}, z=z).numpy()
        # The same operations on the same weights differ only in the order of sums.
        np.testing.assert_allclose(outputs["generate"], expected, atol=1e-5)
        served = outputs["generate_with_style"]
    assert served.dtype == np.uint8
    assert np.abs(served - (expected + 1) * 127.5).max() <= 0.51


def test_versions_are_numbered_and_described(workdir, exported, tmp_path, monkeypatch):
    assert exported.name == "1"
    models = shutil.copytree(exported.parent, tmp_path / "tiny")
    monkeypatch.setattr(
        "experiments.commands.export.export.write_saved_model",
        lambda _, staging, *__: shutil.copytree(exported, staging / "1"),
    )
    second = export(workdir, output_dir=models)
    assert second.name == "2"
    assert sorted(path.name for path in models.iterdir()) == ["1", "2", "serving"]
    content = json.loads((second / "assets" / "config.json").read_text())
    assert content["labels"]["has_unknown"]
    assert content["step"] == 4
    shutil.rmtree(models / "1")
    assert load_model(models).image_size == (64, 64)


@pytest.mark.parametrize(
    ("name", "image", "text"),
    [("a b", None, "'a b'"), ("m", "x y", "--serving_image=x y: no name of an image")],
)
def test_names_are_checked_before_anything_is_written(workdir, tmp_path, name, image, text):
    with pytest.raises(ValueError, match=text):
        export(workdir, output_dir=tmp_path / name, serving_image=image)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_fails_leaves_nothing(workdir, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ServedModel, "signatures", lambda self: {})
    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(ValueError, match="No space left on device"):
        export(workdir, output_dir=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_the_assets_say_what_the_model_is(exported):
    assets = exported / "assets"
    names = (assets / "class_names.txt").read_text().splitlines()
    assert names[-1] == "unknown"
    palette = json.loads((assets / "palette.json").read_text())
    assert [entry["name"] for entry in palette] == names
    card = (assets / "model_card.md").read_text()
    assert "and 255 (or 4) for unknown" in card
    assert "4 steps of batches of 2 at 64x64" in card
    assert (exported.parent / "serving" / "models.config").exists()


def test_the_assets_tell_of_no_folder_of_the_machine(workdir, data_dir, exported):
    """Servers give them to whoever asks."""
    for path in (exported / "assets").iterdir():
        for folder in (workdir, data_dir):
            assert str(folder) not in path.read_text(), path
    loaded = load_workdir(workdir)
    config = dataclasses.replace(
        loaded.config,
        teacher="/home/me/teacher/",
        init_from="/home/me/runs/old",
        loss=dataclasses.replace(loaded.config.loss, vgg_weights="/home/me/vgg16.pth"),
    )
    text = export_assets(loaded._replace(config=config, data_dir="/home/me/data"))["config.json"]
    assert "/home/me" not in text
    content = json.loads(text)["config"]
    assert (content["teacher"], content["init_from"]) == ("teacher", "old")
    assert content["loss"]["vgg_weights"] == "vgg16.pth"


def test_exports_of_earlier_releases_say_where_their_data_set_is(exported, data_dir, tmp_path):
    content = json.loads((exported / "assets" / "config.json").read_text())
    assert ExportedModel(content, tmp_path, None).data_dir is None
    old = content | {"data_dir": str(data_dir), "data_dir_from_here": "../nowhere"}
    assert ExportedModel(old, tmp_path, None).data_dir == str(data_dir)
