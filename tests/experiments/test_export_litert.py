import json
import os
from functools import cache

import numpy as np
import pytest

from experiments.command_line.main import main
from experiments.commands.export.export import export
from experiments.commands.export.litert import read_layouts
from experiments.setup.trained_model import load_workdir
from spade_tf.export.errors import ExportError
from spade_tf.export.litert.model import LiteRTModel

EXPORT = "experiments.commands.export"


@pytest.fixture(scope="module", autouse=True)
def _loads_once():
    """The trained model once, however many tests ask for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.setup.trained_model.load_workdir", cache(load_workdir))
        yield


@pytest.fixture(scope="module")
def exported(workdir, tmp_path_factory):
    # Two filters after four training steps are not accurate in int8.
    variants = ("float32", "float16", "ids_float32")
    output_dir = tmp_path_factory.mktemp("models")
    return export(workdir, formats=["litert"], output_dir=output_dir, variants=variants)


def test_a_trained_model_is_exported_with_its_encoder_and_its_classes(exported):
    stems = {path.stem for path in exported.glob("*.tflite")}
    assert stems == {
        "generator_float32",
        "generator_float16",
        "generator_ids_float32",
        "encoder_float32",
        "encoder_float16",
    }
    for stem in stems:
        facts = json.loads((exported / f"{stem}.json").read_text())
        assert facts["model"] == {"name": "tiny", "step": 4}
        assert [item["id"] for item in facts["classes"]] == [0, 1, 2, 3, 4]
        assert facts["classes"][-1] == {
            "id": 4,
            "name": "unknown",
            "color": [0, 0, 0],
            "value": 255,
        }
        label_map = facts["label_map"]
        assert (label_map["num_ids"], label_map["id_of_value"]) == (5, [0, 1, 2, 3])
        assert (label_map["unknown_value"], label_map["unknown"]) == (255, 4)
        assert facts["objections"] == []


def test_ids_instances_and_an_encoded_style_make_the_picture_that_keras_makes(workdir, exported):
    loaded = load_workdir(workdir)
    (layout,), (photograph,) = read_layouts(loaded, "val", 1, loaded.data_dir)
    assert len(np.unique(layout["instance"])) > 1
    encoder = LiteRTModel((exported / "encoder_float32.tflite").read_bytes())
    generator = LiteRTModel((exported / "generator_ids_float32.tflite").read_bytes())
    z = encoder(image=photograph)["z"]
    # Sums may be taken in another order.
    np.testing.assert_allclose(z, loaded.encoder(photograph)[0].numpy(), atol=1e-4)
    given = generator(**layout, z=z)["image"]
    np.testing.assert_allclose(given, loaded.generator(layout, z=z).numpy(), atol=1e-4)


def test_command_names_a_data_set_that_is_gone(workdir, tmp_path, capsys):
    arguments = [
        "export",
        f"--model={workdir}",
        "--format=litert",
        f"--output_dir={tmp_path / 'm'}",
        f"--data_dir={tmp_path / 'nowhere'}",
    ]
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert "nowhere" in error.splitlines()[-1]
    assert not (tmp_path / "m").exists()


def test_all_formats_are_checked_before_any_is_made(workdir, tmp_path, capsys):
    arguments = ["export", f"--model={workdir}", "--format=saved_model,litert"]
    for flag, said in (
        ("--variants=foo", "'foo'"),
        ("--variants=", "--variants"),
        ("--allow_below_bound=foo", "'foo'"),
        ("--max_pixels=3", "--max_pixels=3"),
        (f"--data_dir={tmp_path / 'nowhere'}", "nowhere"),
    ):
        assert main([*arguments, f"--output_dir={tmp_path / 'm'}", flag]) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "m").exists()


def test_drafts_are_refused_before_litert_models_are_made(workdir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(f"{EXPORT}.litert.read_examples", lambda *_: pytest.fail("too late"))
    arguments = ["export", f"--model={workdir}", "--format=saved_model,litert", "--drafts"]
    assert main([*arguments, f"--output_dir={tmp_path / 'm'}"]) != 0
    assert "this one has conditioning=clade" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("at", ["write_litert", "write_saved_model", "os.replace"])
def test_all_formats_are_published_or_none(workdir, tmp_path, monkeypatch, at):
    def version(staging, name):
        (staging / name).mkdir(parents=True)
        return staging / name

    makers = {
        "write_litert": lambda _, staging, *__, **___: version(staging, "litert/1"),
        "write_saved_model": lambda _, staging, *__: version(staging, "1"),
    }
    # Nobody looks at them here, and to read them takes longer than all the rest.
    monkeypatch.setattr(f"{EXPORT}.litert.read_examples", lambda *_: ())
    monkeypatch.setattr(f"{EXPORT}.litert.write_litert", makers["write_litert"])
    monkeypatch.setattr(f"{EXPORT}.export.write_saved_model", makers["write_saved_model"])
    formats, given = ["saved_model", "litert"], {"variants": ["float32"]}
    first = export(workdir, formats=formats, output_dir=tmp_path / "m", **given)
    there = sorted(str(path) for path in (tmp_path / "m").rglob("*"))
    assert first == tmp_path / "m" / "1"
    assert str(tmp_path / "m" / "litert" / "1") in there

    def fail(*_, **__):
        raise ExportError("no such luck")

    def replace(source, target, move=os.replace):
        if str(target) == str(tmp_path / "m" / "2"):
            raise OSError(28, "No space left on device")
        move(source, target)

    if at == "os.replace":
        monkeypatch.setattr(os, "replace", replace)
    else:
        module = f"{EXPORT}.{'export' if at == 'write_saved_model' else 'litert'}"
        monkeypatch.setattr(f"{module}.{at}", fail)
    for output_dir in (tmp_path / "m", tmp_path / "other"):
        if at != "os.replace" or output_dir.name == "m":
            with pytest.raises(ExportError, match=r"no such luck|No space left"):
                export(workdir, formats=formats, output_dir=output_dir, **given)
    assert sorted(str(path) for path in (tmp_path / "m").rglob("*")) == there
    assert not (tmp_path / "other").exists()
