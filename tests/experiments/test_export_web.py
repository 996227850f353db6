"""The painter as a folder of static files."""

import json
import re

import numpy as np
import pytest
from litert_js_package import write_package

from experiments.command_line.main import main
from experiments.commands.export import web
from experiments.commands.export.export import export
from experiments.commands.export.web import cell_means, check_inputs, check_paintable
from experiments.setup.config import Config, ConfigError
from pipelines.schema import LabelSet
from spade_tf.export.errors import ExportError
from spade_tf.export.litert.model import LiteRTModel

pytestmark = pytest.mark.usefixtures("loads_once")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return write_package(tmp_path_factory.mktemp("npm"))


@pytest.fixture(scope="module")
def folder(workdir, package, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("models") / "tiny painter"
    return export(workdir, formats=["web"], output_dir=output_dir, litert_js=package)


def test_the_folder_is_whole(folder):
    page = (folder / "index.html").read_text()
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"README.txt", "LICENSE", "litert/LICENSE", "litert/index.js"} <= files
    assert {"painter/main.js", "painter/browser/worker.js", "model/model.json"} <= files
    for name in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert name in files
    # Modules import what is there.
    for name in files:
        if name.endswith(".js"):
            for other in re.findall(
                r"""(?:from|import\() ?['"]([^'"]+)""", (folder / name).read_text()
            ):
                target = (folder / name).parent / other
                assert str(target.resolve().relative_to(folder.resolve())) in files
    # Nothing is half written, and nothing else is left.
    assert [path.name for path in folder.parent.iterdir()] == ["1"]
    assert [path.name for path in folder.parent.parent.iterdir()] == ["web"]


def test_the_page_has_a_policy_and_names_its_engine(folder):
    page = (folder / "index.html").read_text()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'self'; ")
    assert "unsafe" not in policy
    assert '<meta name="painter-engine" content="browser">' in page
    assert page.count('id="status"') == 1
    assert "README.txt, beside this page" in page


def test_the_page_knows_the_model(folder):
    facts = json.loads((folder / "model" / "model.json").read_text())
    assert facts["name"] == "tiny painter"
    assert facts["step"] == 4
    assert (facts["height"], facts["width"], facts["styles"]) == (64, 64, 8)
    # Four classes and unknown, and a channel of edges.
    assert (facts["numIds"], facts["channels"]) == (5, 6)
    assert [each["name"] for each in facts["classes"]][-1] == "unknown"
    assert facts["files"]["write"] == [0, 1, 2, 3, 255]
    assert (facts["samples"], facts["photographs"]) == (0, "stretch")
    for name in ("generator", "encoder"):
        content = (folder / "model" / facts[name]["file"]).read_bytes()
        assert len(content) == facts[name]["bytes"]
    # What browsers compare their first picture with.
    generator = LiteRTModel((folder / "model" / "generator.tflite").read_bytes())
    inputs = check_inputs(64, 64, 6, 5, 8)
    assert inputs["semantics"][..., :5].sum(-1).min() == 1.0
    assert inputs["semantics"][0, :, 0, 5].sum() == 8.0
    made = generator(**inputs)["image"][0]
    np.testing.assert_allclose(facts["check"], cell_means(made), atol=1e-3)
    np.testing.assert_allclose(facts["check"][0], made[:16, :16].mean(), atol=1e-3)


def test_models_that_cannot_be_painted_with_are_refused():
    labels = LabelSet(tuple(map(str, range(257))), ((0, 0, 0),) * 257, False, False)
    with pytest.raises(ConfigError, match="mine has 257 classes, and the painter knows 256"):
        check_paintable(Config(name="mine"), labels)
    labels = LabelSet((), (), False, False, condition_channels=3)
    with pytest.raises(ConfigError, match="mine makes pictures of continuous maps"):
        check_paintable(Config(name="mine"), labels)


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--data_dir=z", "--data_dir=z: no effect without --format=litert or web"),
        ("--weights=float32", "--weights=float32: no effect without --format=web"),
        ("--litert_js=z", "--litert_js=z: no effect without --format=web"),
    ],
)
def test_flags_without_an_effect_are_refused(flag, said, capsys):
    assert main(["export", "--model=x", "--output_dir=y", flag]) == 2
    assert said in capsys.readouterr().err


def test_a_failure_leaves_nothing(workdir, package, tmp_path, capsys, monkeypatch):
    arguments = ["export", f"--model={workdir}", "--format=web", f"--output_dir={tmp_path / 'm'}"]
    for flags, said in (
        ([f"--litert_js={tmp_path}"], f"--litert_js={tmp_path}: the npm package"),
        (["--weights=int4"], "int4"),
        ([f"--data_dir={tmp_path / 'nowhere'}", f"--litert_js={package}"], "nowhere"),
    ):
        assert main([*arguments, *flags]) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "m").exists()

    def far(loaded, folder, examples, **_):
        folder.mkdir(parents=True)
        (folder / "generator_float16.json").write_text('{"objections": ["20 dB from Keras"]}')
        return folder

    monkeypatch.setattr("experiments.commands.export.litert.write_litert", far)
    said = "--weights=float16: 20 dB from Keras: nothing written; give --weights=float32"
    with pytest.raises(ExportError, match=said):
        export(workdir, formats=["web"], output_dir=tmp_path / "m", litert_js=package)
    assert not (tmp_path / "m").exists()


def test_landscapes_come_with_layouts(tmp_path, monkeypatch):
    from PIL import Image

    from pipelines import landscapes

    class Loaded:
        config = Config()

    Loaded.config.data.height = Loaded.config.data.width = 64
    monkeypatch.setattr(web, "NUM_SAMPLES", 2)
    assert web._write_layouts(Loaded, list(landscapes.CLASS_NAMES), tmp_path) == 2
    with Image.open(tmp_path / "2.png") as image:
        np.testing.assert_array_equal(np.array(image), landscapes.render(1, 0, 64, 64).label)
    assert web._write_layouts(Loaded, ["sky"], tmp_path) == 0
