"""How true styles are: a classifier of an attribute, and the scores of what it finds."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from experiments.commands.evaluate import attributes
from experiments.commands.evaluate.attributes import (
    AttributeJudge,
    attribute_scores,
    count_values,
    train_judge,
)
from experiments.commands.evaluate.gallery import Gallery
from experiments.commands.evaluate.report import write_report
from experiments.setup.config import Config
from experiments.setup.sizing import sizing_options
from pipelines.reading.attributes import Attribute, attribute_of
from pipelines.reading.prepared import label_set, open_dataset

COLOURS = Attribute("colour", ("red", "green", "blue"), lambda name: name.split("-")[0])


def by_channel(images):
    """Sees the brightest channel."""
    return images.mean(axis=(1, 2)).argmax(-1)


JUDGE = AttributeJudge(COLOURS, by_channel, 0.9, 10, 20)


def test_landscapes_have_a_time_of_day():
    for name in ("landscapes", "landscapes/64x64_200+60"):
        attribute = attribute_of(name)
        assert attribute.values == ("dawn", "noon", "dusk", "night", "overcast")
        assert attribute.place("1000003_night") == 3
        assert attribute.place("val_003") == -1
    assert attribute_of("paired_folder") is None


def test_shares_by_hand():
    true = np.array([0, 0, 1, -1])
    reproduced = np.array([0, 2, 1, 1])
    drawn = np.array([[3, 0, 0], [2, 1, 0], [3, 0, 0], [1, 0, 0]])
    scores = attribute_scores(JUDGE, true, reproduced, drawn, seed=0)
    assert scores["classifier"] == {
        "accuracy": 0.9,
        "validation_pictures": 10,
        "training_pictures": 20,
    }
    # Two of the three that are known.
    assert scores["reproduced"]["value"] == pytest.approx(2 / 3)
    assert scores["real"] == {"red": 2 / 3, "green": 1 / 3, "blue": 0.0}
    assert scores["drawn"] == {
        "shares": {"red": 0.9, "green": 0.1, "blue": 0.0},
        "missing": ["blue"],
    }
    assert "drawn" not in attribute_scores(JUDGE, true, reproduced, None, seed=0)
    assert "reproduced" not in attribute_scores(JUDGE, true, None, drawn, seed=0)


def test_values_are_counted_by_layout():
    fakes = np.zeros([2, 3, 4, 4, 3], np.uint8)
    for layout, styles in enumerate(((0, 0, 2), (1, 2, 2))):
        for place, colour in enumerate(styles):
            fakes[layout, place, ..., colour] = 200
    np.testing.assert_array_equal(count_values(JUDGE, fakes), [[2, 0, 1], [0, 1, 2]])


@pytest.fixture
def colours(monkeypatch):
    """A data set of noisy colours, of which one in ten of the validation split is named wrongly."""

    def values_of(split):
        return np.random.default_rng(len(split)).integers(0, 3, 60)

    def names(builder, split, count):
        values = values_of(split)
        if split == "val":
            values[::10] = (values[::10] + 1) % 3
        return [f"{COLOURS.values[value]}-{place}" for place, value in enumerate(values)]

    def batches(model, builder, split):
        random = np.random.default_rng(1)
        pictures = random.normal(0, 0.3, (60, 1, 32, 32, 3)).astype(np.float32) - 0.5
        pictures[np.arange(60), ..., values_of(split)] += 1
        return tf.data.Dataset.from_tensor_slices({"image": np.clip(pictures, -1, 1)})

    builder = SimpleNamespace(info=SimpleNamespace(splits=("train", "val")))
    monkeypatch.setattr(attributes, "open_model_data", lambda *_: builder)
    monkeypatch.setattr(attributes, "attribute_of", lambda _: COLOURS)
    monkeypatch.setattr(attributes, "single_batches", batches)
    monkeypatch.setattr("pipelines.reading.input_pipeline.record_names", names)


def test_the_classifier_learns_and_knows_its_accuracy(colours):
    judge = train_judge(SimpleNamespace(dataset="colours", split="val"), None, seed=0)
    assert judge.accuracy == pytest.approx(0.9)
    assert (judge.num_validation, judge.num_training) == (60, 60)
    pictures = np.full([3, 48, 40, 3], 40, np.uint8)
    for place in range(3):
        pictures[place, ..., place] = 200
    np.testing.assert_array_equal(judge.predict(pictures), [0, 1, 2])
    again = train_judge(SimpleNamespace(dataset="colours", split="val"), None, seed=0)
    assert again.accuracy == judge.accuracy


@pytest.fixture
def landscapes(tmp_path, monkeypatch):
    """A model of a data set of an earlier release; and the data set, a copy.

    Classifiers of it learn for a moment: they are compared, not used.
    """
    monkeypatch.setattr(attributes, "_EPOCHS", 2)
    source = Path(__file__).parents[1] / "goldens/earlier/data"
    config = Config()
    config.data.load_height = config.data.load_width = 64
    config.data.height = config.data.width = 64
    return SimpleNamespace(
        dataset="landscapes/64x64_2+2",
        split="val",
        sizing=sizing_options(config),
        use_instance=False,
        use_canvas=False,
        data_dir=str(shutil.copytree(source, tmp_path / "data")),
        labels=label_set(open_dataset("landscapes/64x64_2+2", source)),
    )


@pytest.fixture
def readings(monkeypatch):
    """The splits that were read to learn from: two for each training."""
    found, read = [], attributes.single_batches

    def reading(model, builder, split):
        found.append(split)
        return read(model, builder, split)

    monkeypatch.setattr(attributes, "single_batches", reading)
    return found


@pytest.mark.usefixtures("eagerly")
def test_a_classifier_is_kept_by_all_that_it_depends_on(landscapes, readings, tmp_path, capsys):
    folder = tmp_path / "cache"
    images = np.random.default_rng(0).integers(0, 256, (8, 40, 48, 3)).astype(np.uint8)
    first = train_judge(landscapes, None, 0, folder)
    assert first.attribute == attribute_of("landscapes")
    assert (first.num_training, first.num_validation) == (2, 2)
    assert readings == ["train", "val"]
    again = train_judge(landscapes, None, 0, folder)
    assert len(readings) == 2
    assert again[2:] == first[2:]
    np.testing.assert_array_equal(first.predict(images), again.predict(images))
    # Another seed, and without a folder.
    train_judge(landscapes, None, 1, folder)
    train_judge(landscapes, None, 0)
    assert len(readings) == 6
    # Another size of the pictures.
    larger = SimpleNamespace(**{**vars(landscapes), "sizing": {**landscapes.sizing, "multiple": 1}})
    train_judge(larger, None, 0, folder)
    assert len(readings) == 8
    assert len(list(folder.iterdir())) == 3
    # A damaged file.
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert train_judge(landscapes, None, 0, folder)[2:] == first[2:]
    assert "not read" in capsys.readouterr().err
    assert len(readings) == 10


@pytest.mark.usefixtures("eagerly")
def test_a_changed_picture_trains_anew(landscapes, readings, tmp_path):
    folder = tmp_path / "cache"
    train_judge(landscapes, None, 0, folder)
    # The same pictures in another order are others to learn from: one shard is written anew.
    builder = open_dataset(landscapes.dataset, landscapes.data_dir)
    (path,) = Path(builder.data_path).glob("*-train.*")
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in reversed(records):
            writer.write(record)
    train_judge(landscapes, None, 0, folder)
    assert readings == ["train", "val"] * 2
    assert len(list(folder.iterdir())) == 2


def test_without_a_split_held_out_there_is_no_classifier(colours):
    assert train_judge(SimpleNamespace(dataset="colours", split="train"), None, seed=0) is None


@pytest.mark.parametrize(
    ("name", "is_fid", "titles"),
    [
        ("inception", True, ("<td>FID</td>", "<td>KID</td>")),
        ("inception", False, ("<td>FD (inception)</td>", "<td>KD (inception)</td>")),
    ],
)
def test_the_page_names_distances_and_shows_styles(name, is_fid, titles, tmp_path):
    figure = {"value": 0.5, "interval": [0.4, 0.6]}
    drawn = np.array([[3, 1, 0]])
    places = {"block_border": {"value": 1.25, "interval": [1.2, 1.3]}, "picture_border": None}
    content = {
        "scores": {
            "l1": figure,
            name: {"frechet_distance": figure, "kernel_distance": figure},
            "attributes": {
                "colour": attribute_scores(JUDGE, np.array([0, 1]), np.array([0, 0]), drawn, seed=0)
            },
            "sharpness": {"value": 0.75, "interval": [0.7, 0.8]},
            "steps": {"fake": places, "real": {name: figure for name in places}},
        },
        "protocol": {"model": "m", "count": 2, "features": {name: {"is_fid": is_fid}}},
        "class_names": [],
        "warnings": [],
    }
    write_report(tmp_path / "report.html", content, Gallery([]))
    page = (tmp_path / "report.html").read_text()
    for text in (
        *titles,
        "right for 90.0 % of 10 real validation pictures",
        "finds the colour of that photograph for 50.0 %",
        "Drawn styles never, or hardly ever, have blue.",
        "<tr><td>green</td><td>50.0 %</td><td>25.0 %</td></tr>",
        "<td>sharpness</td><td>0.75</td><td>0.7 to 0.8</td><td>1</td>",
        "<td>steps at borders of blocks</td><td>1.25</td><td>1.2 to 1.3</td><td>0.5</td>",
        "<td>steps at borders of the picture</td><td>none</td>",
    ):
        assert text in page, text
