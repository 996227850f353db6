import csv
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from tiny_experiment import get_config

from experiments.command_line.main import main
from experiments.commands.evaluate.pairs import Pair
from experiments.commands.study.answers import (
    Answer,
    count_answers,
    preference,
    wilson_interval,
)
from experiments.commands.study.make import least_like, make_study
from experiments.commands.study.page import write_page
from experiments.setup.config import ConfigError
from experiments.setup.models import NotFiniteError
from experiments.setup.predictors import load_model
from experiments.setup.sizing import sizing_options
from pipelines.reading.prepared import label_set, open_dataset


class Model:
    """Makes pictures of one grey; stands in for a trained model, which would take minutes."""

    def __init__(self, path, data_dir, grey):
        builder = open_dataset("paired_folder", data_dir)
        self.labels, self.data_dir = label_set(builder), str(data_dir)
        self.dataset, self.split, self.image_size = "paired_folder", "val", (64, 64)
        self.sizing = sizing_options(get_config())
        self.z_dim, self.has_encoder, self.use_instance = None, False, True
        self.use_canvas = False
        self.grey = grey

    def generate(self, maps, z):
        assert z is None
        return np.full((1, 1, 64, 64, 3), self.grey, np.uint8)


@pytest.fixture(scope="module")
def models(data_dir):
    """Puts two models, "a" and "b", in the place of trained ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "experiments.commands.study.make.load_model",
            lambda path, flag: Model(path, data_dir, {"a": 10, "b": 20}[path]),
        )
        yield "--models=a,b"


@pytest.fixture(scope="module")
def study(models, tmp_path_factory):
    """One layout and one attention check."""
    folder = tmp_path_factory.mktemp("study") / "s"
    numbers = ["--num_layouts=1", "--num_checks=1"]
    assert main(["study", models, f"--output_dir={folder}", *numbers]) == 0
    return folder


def test_a_study_holds_pictures_and_a_key(study):
    key = json.loads((study / "key.json").read_text())
    assert [trial["kind"] for trial in key["trials"]] == ["pair", "check"]
    assert sorted(path.name for path in study.iterdir()) == ["key.json", "page"]
    pictures = sorted((study / "page" / "pictures").iterdir())
    assert [path.name for path in pictures] == [
        f"{trial}_{what}.png" for trial in ("000", "001") for what in ("1", "2", "layout")
    ]
    arrays = {path.name: read_image(path) for path in pictures}
    first = key["trials"][0]["first"]
    assert (arrays[f"000_{first}.png"] == 10).all()
    assert (arrays[f"000_{3 - first}.png"] == 20).all()
    # Two photographs, of two layouts.
    assert (arrays["001_1.png"] != arrays["001_2.png"]).any()
    assert len(np.unique(arrays["001_1.png"])) > 2
    page = (study / "page" / "index.html").read_text()
    # The page tells nobody what is a check, nor whose picture is whose.
    assert '["000", "001"]' in page
    assert key["study"] in page
    for word in ("check", "first", '"a"', "http"):
        assert word not in page


def read_image(path):
    with Image.open(path) as image:
        return np.array(image)


def test_a_check_shows_the_photograph_and_one_of_another_layout():
    def pair(ids):
        return Pair("", {"label": np.array([ids])}, np.zeros((1, 4, 3), np.uint8))

    pairs = [pair([0, 0, 1, 1]), pair([0, 0, 1, 2]), pair([2, 0, 2, 2])]
    assert least_like(pairs[0], pairs) is pairs[2]


def answers_of(study, who, chosen):
    """A file of answers, as the page makes it: which of the key's `first` is chosen, by trial."""
    key = json.loads((study / "key.json").read_text())
    rows = [["study", "participant", "trial", "left", "right", "chosen", "milliseconds"]]
    for trial in key["trials"]:
        wanted = trial["first"] if chosen[trial["kind"]] else 3 - trial["first"]
        rows.append([key["study"], who, trial["trial"], 2, 1, wanted, 900])
    return rows


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_answers_are_counted(study, tmp_path, capsys):
    right, wrong = {"pair": True, "check": True}, {"pair": False, "check": False}
    for who, chosen in (("a", right), ("b", right), ("c", {**right, "pair": False}), ("d", wrong)):
        write(tmp_path / f"{who}.csv", answers_of(study, who, chosen))
    shutil.copy(tmp_path / "a.csv", tmp_path / "a (1).csv")
    assert main(["study", f"--answers={tmp_path}", f"--output_dir={study}"]) == 0
    content = json.loads((study / "preference.json").read_text())
    assert (content["answers"], content["participants"], content["left_out"]) == (3, 3, ["d"])
    assert content["share_of_first"] == pytest.approx(2 / 3)
    assert "in 66.7 % of 3 answers, 95 % interval 20.8 to 93.9 %" in capsys.readouterr().out
    count_answers(tmp_path, output_dir=study, min_checks=0.0)
    assert json.loads((study / "preference.json").read_text())["answers"] == 4


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (0, "other", "of the study other"),
        (1, "", "line 2 has no participant"),
        (2, "999", "no such trial"),
        (3, "1", "no such trial"),
        (5, "3", "chosen is 3; it can be 1 or 2"),
    ],
)
def test_answers_of_something_else_are_refused(column, value, said, study, tmp_path):
    rows = answers_of(study, "a", {"pair": True, "check": True})
    rows[1][column] = value
    write(tmp_path / "a.csv", rows)
    with pytest.raises(ConfigError, match=rf"a\.csv: line 2.*{said}|a\.csv: {said}"):
        count_answers(tmp_path, output_dir=study)


def test_bad_arguments_are_refused(study, models, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    for given, said in (
        ([], "--models: required"),
        (["--models=a"], "give two"),
        ([models, f"--output_dir={study}"], "it is not empty"),
        ([models, f"--output_dir={tmp_path / 's'}"], "the split has 2"),
        ([models, f"--output_dir={tmp_path / 's'}", "--split=dev"], "--split=dev"),
        ([f"--answers={tmp_path / 'none'}", f"--output_dir={study}"], "no CSV files"),
        ([f"--answers={tmp_path / 'gone'}", f"--output_dir={study}"], "gone: no such folder; give"),
        (
            [f"--answers={tmp_path}", f"--output_dir={tmp_path}"],
            f"--output_dir={tmp_path}: no key.json in it; give the folder where the study was made",
        ),
        ([f"--answers={tmp_path}", "--min_checks=2"], "--min_checks=2"),
    ):
        assert main(["study", *given]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not (tmp_path / "s").exists()


def test_models_of_different_sizes_are_refused(models, data_dir, tmp_path, monkeypatch):
    def load(path, flag):
        model = Model(path, data_dir, 0)
        model.image_size = (64, 64) if path == "a" else (64, 128)
        return model

    monkeypatch.setattr("experiments.commands.study.make.load_model", load)
    with pytest.raises(ConfigError, match="different sizes"):
        make_study(["a", "b"], output_dir=tmp_path / "s", num_layouts=1, num_checks=0)


def test_folders_that_hold_no_model(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("experiments.commands.study.make.load_model", load_model)
    for name in ("empty", "begun", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "begun" / "config.json").write_text("{}")
    (tmp_path / "broken" / "saved_model.pb").touch()
    for name, said in (
        ("none", "no such folder"),
        ("empty", "neither the workdir of a training"),
        ("begun", "config.json: no config"),
        ("broken", "not an export of this project"),
    ):
        models = f"--models={tmp_path / name},{tmp_path / name}"
        assert main(["study", models, f"--output_dir={tmp_path / 's'}"]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: --models={tmp_path / name}")
        assert said in error
        assert error.count("\n") == 1


def test_a_model_that_makes_nan_is_named(models, data_dir, tmp_path, monkeypatch, capsys):
    def load(path, flag):
        model = Model(path, data_dir, 0)
        if path == "b":

            def generate(maps, z):
                raise NotFiniteError(f"{flag}={path}", 0)

            model.generate = generate
        return model

    monkeypatch.setattr("experiments.commands.study.make.load_model", load)
    where = [f"--output_dir={tmp_path / 's'}", "--num_layouts=2", "--num_checks=0"]
    assert main(["study", models, *where]) == 2
    error = capsys.readouterr().err
    assert re.search(
        r"--models=b: the model makes NaN or infinity.*\(first for the map [01]\)", error
    )
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_study_of_trained_models(workdir, tmp_path):
    make_study([workdir, workdir], output_dir=tmp_path / "s", num_layouts=1, num_checks=1)
    pictures = tmp_path / "s" / "page" / "pictures"
    # One model with itself, in the style of the photograph.
    np.testing.assert_array_equal(
        read_image(pictures / "000_1.png"), read_image(pictures / "000_2.png")
    )
    assert read_image(pictures / "000_1.png").std() > 0


def test_wilsons_interval():
    # By hand: z² / n is 0.96037, the middle 0.5, and the half z sqrt(0.0625 + 0.06002) / 1.96037.
    assert wilson_interval(2, 4) == pytest.approx((0.15004, 0.84996), abs=1e-5)
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(10, 10) == pytest.approx((0.722467, 1.0), abs=1e-5)


def test_layouts_that_differ_widen_the_interval():
    def answers(layouts):
        return [
            Answer(f"p{who}", {"trial": str(n), "kind": "pair", "layout": str(n)}, first, True)
            for n, first in enumerate(layouts)
            for who in range(50)
        ]

    # All agree on each layout: 200 answers say no more than 4.
    split = preference(answers([True, True, True, False]), ["a", "b"], 0.75)
    assert split["share_of_first"] == 0.75
    wilson = wilson_interval(150, 200)
    assert split["interval"][0] < wilson[0] - 0.1
    assert (split["preferred"], split["share_of_left"]) == ("a", 1.0)


def write_study(folder):
    """Six trials of a grey layout, a red picture and a blue one, the first model's."""
    trials = [f"{number:03d}" for number in range(6)]
    (folder / "page" / "pictures").mkdir(parents=True)
    for trial in trials:
        for place, colour in (("layout", "gray"), ("1", "red"), ("2", "blue")):
            picture = Image.new("RGB", (8, 8), colour)
            picture.save(folder / "page" / "pictures" / f"{trial}_{place}.png")
    write_page(folder / "page" / "index.html", "abc", trials)
    # The sixth is a check, in which the second picture is right.
    key = [
        {"trial": trial, "kind": "check" if trial == "005" else "pair", "layout": trial, "first": 2}
        for trial in trials
    ]
    (folder / "key.json").write_text(
        json.dumps({"study": "abc", "models": ["A", "B"], "trials": key})
    )
    (folder / "answers").mkdir()


def answer(page):
    """Chooses the blue picture of each trial, by mouse or by key.

    Returns the side of each choice, and what was shown on the left in each trial.
    """
    sides, lefts = [], []
    for number in range(6):
        page.wait_for_function("!document.getElementById('left').disabled")
        sources = {
            side: page.locator(f"#{side} img").get_attribute("src") for side in ("left", "right")
        }
        lefts.append(sources["left"])
        side = next(s for s, source in sources.items() if source.endswith("_2.png"))
        sides.append(side)
        if number % 2:
            page.locator(f"#{side}").click()
        else:
            page.keyboard.press(f"Arrow{side.title()}")
        if number == 2:
            # Whoever comes back goes on where they were.
            page.reload()
    page.get_by_text("Thank you").wait_for()
    return sides, lefts


@pytest.mark.browser
def test_somebody_answers_in_a_browser(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium: apt-get install chromium")
    write_study(tmp_path)
    seen = set()
    with playwright.sync_playwright() as browsers:
        options = {"executable_path": chromium, "args": ["--no-sandbox"]}
        browser = browsers.chromium.launch(**options)
        for _ in range(2):
            page = browser.new_context(accept_downloads=True).new_page()
            errors = []
            page.on("pageerror", lambda error, errors=errors: errors.append(error))
            page.goto((tmp_path / "page" / "index.html").as_uri())
            page.get_by_role("button", name="Begin").click()
            sides, lefts = answer(page)
            seen.update(sides)
            with page.expect_download() as download:
                page.get_by_text("Download the answers").click()
            name = download.value.suggested_filename
            download.value.save_as(tmp_path / "answers" / name)
            text = (tmp_path / "answers" / name).read_text()
            assert page.locator("#answers").input_value() == text
            assert len(text.splitlines()) == 7
            assert len({source[:12] for source in lefts}) == 6
            assert not errors
        browser.close()
    content = count_answers(tmp_path / "answers", output_dir=tmp_path)
    assert (content["share_of_first"], content["answers"], content["participants"]) == (1.0, 10, 2)
    assert content["left_out"] == []
    # Sides are drawn: twelve trials are on one side with a probability of 2 to the power of -11.
    assert seen == {"left", "right"}
