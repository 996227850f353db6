import json

import numpy as np
import pytest

from experiments.assemble import load_workdir
from experiments.commands.command_line import main
from experiments.export_litert import export_litert, read_layouts
from spade_tf.export.litert_model import LiteRTModel


@pytest.fixture(scope="module")
def exported(workdir, tmp_path_factory):
    # Two filters, trained for four steps: nothing to spare for eight bits.
    variants = ("float32", "float16", "ids_float32")
    return export_litert(workdir, output_dir=tmp_path_factory.mktemp("models"), variants=variants)


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
    # Sums in another order.
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
