"""The model of landscapes that comes with a clone, and the layouts that are drawn for it."""

import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments.commands.generate import generate
from experiments.setup import predictors, shipped
from experiments.setup.config import ConfigError
from experiments.setup.drawn_layouts import drawn_layouts, draws_layouts
from pipelines import landscapes
from pipelines.landscapes import FIRST_VAL_INDEX
from pipelines.sources.builders.landscapes import LandscapeReader


def _model(**changed):
    labels = SimpleNamespace(class_names=list(landscapes.CLASS_NAMES))
    given = {"labels": labels, "image_size": (64, 64), "use_instance": True, "data_dir": None}
    return SimpleNamespace(**given | changed)


def test_layouts_are_those_of_the_validation_split():
    count, layouts = drawn_layouts(_model(), 2)
    made = list(layouts)
    assert count == len(made) == 2
    reader = LandscapeReader(0, 64, 64, len(landscapes.CLASS_NAMES))
    for index, layout in enumerate(made):
        example = reader(FIRST_VAL_INDEX + index)
        assert layout.name == example.key
        wanted = Image.open(io.BytesIO(example.features["label"]))
        np.testing.assert_array_equal(layout.maps["label"], np.asarray(wanted))
        assert layout.maps["instance"].shape == (64, 64)


def test_no_instances_for_a_model_that_sees_none():
    (layout,) = drawn_layouts(_model(use_instance=False), 1)[1]
    assert set(layout.maps) == {"label"}


@pytest.mark.parametrize(
    "changed",
    [
        {"data_dir": "data"},
        {"labels": SimpleNamespace(class_names=["a", "b"])},
        {"image_size": (96, 200)},
    ],
    ids=["knows its data", "other classes", "a size that is not drawn"],
)
def test_other_models_draw_no_layouts(changed):
    assert draws_layouts(_model())
    assert not draws_layouts(_model(**changed))


def test_an_installation_without_the_model_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "SHIPPED_MODEL", tmp_path / "landscapes")
    with pytest.raises(ConfigError, match=r"^--model: .*comes with a clone.*give a model"):
        generate(output_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def model(loads_once):
    return predictors.load_model(shipped.shipped_model())


def test_the_repository_s_model_is_small():
    files = [path for path in shipped.SHIPPED_MODEL.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".pb", ".tflite", ".md"}
    assert sum(path.stat().st_size for path in files) <= 40 * 2**20


def test_its_pictures_have_the_style_of_the_photograph(model):
    """Pictures in the style of the real one are closer to it than in the style of another."""
    drawn = [landscapes.render(0, FIRST_VAL_INDEX + index, 128, 128) for index in range(6)]
    maps = {
        "label": np.stack([each.label for each in drawn]).astype("int32"),
        "instance": np.stack([each.instance for each in drawn]).astype("int32"),
    }
    real = np.stack([each.image for each in drawn]).astype("float32")
    styles = model.encode(real / np.float32(127.5) - np.float32(1))
    own, other = (
        np.abs(model.generate(maps, z[:, None])[:, 0] - real).mean()
        for z in (styles, np.roll(styles, 1, 0))
    )
    # Of 255 levels. A grey picture is 60 levels away from these.
    assert own < 30
    assert own < 0.75 * other


@pytest.mark.usefixtures("model")
def test_generate_takes_it_by_default(tmp_path):
    paths = generate(output_dir=tmp_path, max_labels=1, num_samples=2, seed=3)
    name = f"{FIRST_VAL_INDEX:07d}_{landscapes.render(0, FIRST_VAL_INDEX, 128, 128).time_of_day}"
    assert [path.name for path in paths] == [f"{name}_0.png", f"{name}_1.png"]
    pictures = [np.asarray(Image.open(path)).astype(int) for path in paths]
    assert pictures[0].shape == (128, 128, 3)
    # Two styles of one map; of 255 levels.
    assert np.abs(pictures[0] - pictures[1]).mean() > 3
    assert (tmp_path / "overview.png").is_file()


def test_the_card_shows_the_figures_of_the_evaluation():
    text = (shipped.SHIPPED_MODEL / "README.md").read_text(encoding="utf-8")
    scores = json.loads((shipped.SHIPPED_MODEL / "evaluation.json").read_text())["scores"]
    figures = {
        "time of day": scores["attributes"]["time of day"]["reproduced"],
        "mIoU": scores["segmentation"]["fake"]["mean_iou"],
        "FD(efficientnet_lite2)": scores["efficientnet_lite2"]["frechet_distance"],
        "KD(efficientnet_lite2)": scores["efficientnet_lite2"]["kernel_distance"],
        "LPIPS to": scores["lpips"],
        "LPIPS between": scores["lpips_styles"],
        "L1": scores["l1"],
        "sharpness": scores["sharpness"],
        "steps at borders of blocks": scores["steps"]["fake"]["block_border"],
        "steps at borders of the picture": scores["steps"]["fake"]["picture_border"],
    }
    for name, figure in figures.items():
        low, high = figure["interval"]
        shown = f"{figure['value']:.3g} ({low:.3g} to {high:.3g})"
        assert re.search(rf"^\| {re.escape(name)}[^|]* \| {re.escape(shown)} \|", text, re.M), name
