"""Pictures of a workdir, of its export, and of a server that serves the export."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from experiments.commands.evaluate.evaluate import evaluate, flat_scores
from experiments.commands.evaluate.options import JudgedBy, Pictures
from experiments.commands.generate import generate
from experiments.setup.config import ConfigError
from experiments.setup.picture_styles import StyleSource
from experiments.setup.predictors import load_model
from pipelines.schema import DataError

pytestmark = pytest.mark.usefixtures("loads_once")


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_pictures_of_the_validation_split_have_the_names_of_its_files(
    workdir, source_dir, tmp_path
):
    paths = generate(workdir, output_dir=tmp_path / "a")
    assert {path.name for path in paths} == {"0.png", "1.png"}
    assert read(paths[0]).shape == (64, 64, 3)
    assert (tmp_path / "a" / "overview.png").exists()
    folders = {"labels": source_dir / "val_label", "instances": source_dir / "val_inst"}
    for path in generate(workdir, output_dir=tmp_path / "b", **folders):
        # Maps are scaled by the same rule, and so pictures are the same.
        np.testing.assert_array_equal(read(path), read(tmp_path / "a" / path.name))


@pytest.mark.parametrize("name", ["/tmp/x", "../x", "a/../../x", ""])
def test_a_picture_stays_in_its_folder_whatever_its_name(name, workdir, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "pipelines.reading.input_pipeline.record_names", lambda *_: [name, "day2/y"]
    )
    paths = generate(workdir, output_dir=tmp_path / "out")
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "out/val_000.png",
        "out/day2/y.png",
    ]


def test_pictures_of_label_maps_in_drawn_and_in_encoded_styles(workdir, source_dir, tmp_path):
    folders = {"labels": source_dir / "val_label", "instances": source_dir / "val_inst"}
    paths = generate(workdir, output_dir=tmp_path / "a", num_samples=2, seed=1, **folders)
    assert [path.name for path in paths] == ["0_0.png", "0_1.png", "1_0.png", "1_1.png"]
    again = generate(workdir, output_dir=tmp_path / "b", num_samples=2, seed=1, **folders)
    for one, other in zip(paths, again, strict=True):
        np.testing.assert_array_equal(read(one), read(other))
    alone = generate(workdir, output_dir=tmp_path / "d", seed=2, **folders)
    for one, other in zip(paths[1::2], alone, strict=True):
        # The two styles of a layout (seeds 1 and 2) are made in one call, so sums may round
        # differently.
        assert np.abs(read(one).astype(int) - read(other)).max() <= 1
    source = StyleSource([str(source_dir / "val_img" / "0.png")])
    assert len(generate(workdir, output_dir=tmp_path / "c", styles=source, **folders)) == 2


def test_files_are_read_by_the_table_that_the_data_set_was_read_by(workdir, source_dir, tmp_path):
    """File id 0 is unknown and 1 is class 0, as in ADE20K: the pictures are the same."""
    shifted = tmp_path / "labels"
    shifted.mkdir()
    for path in (source_dir / "val_label").iterdir():
        label = read(path)
        Image.fromarray(np.where(label == 255, 0, label + 1).astype(np.uint8)).save(
            shifted / path.name
        )
    copy = shutil.copytree(workdir, tmp_path / "run")
    content = json.loads((copy / "config.json").read_text())
    assert content["labels"]["files"]["id_table"] == []
    content["labels"]["files"]["id_table"] = [4, 0, 1, 2, 3]
    (copy / "config.json").write_text(json.dumps(content))
    for one, other in zip(
        generate(workdir, output_dir=tmp_path / "a", labels=source_dir / "val_label"),
        generate(copy, output_dir=tmp_path / "b", labels=shifted),
        strict=True,
    ):
        np.testing.assert_array_equal(read(one), read(other))


def test_workdir_and_export_make_the_same_pictures(workdir, exported, source_dir, tmp_path):
    folders = {"labels": source_dir / "val_label", "instances": source_dir / "val_inst"}
    for one, other in zip(
        generate(workdir, output_dir=tmp_path / "a", **folders),
        generate(exported, output_dir=tmp_path / "b", **folders),
        strict=True,
    ):
        # Rounded to 256 levels, so that a difference of 1e-5 can show as one level.
        assert np.abs(read(one).astype(int) - read(other)).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"num_samples": 0}, ConfigError, "1 or more"),
        ({"max_labels": 0}, ConfigError, "1 or more"),
        ({"labels": "nowhere"}, ConfigError, "nowhere"),
        ({"styles": StyleSource(["nothing.jpg"])}, ConfigError, "nothing.jpg"),
        ({"styles": StyleSource([__file__]), "num_samples": 2}, ConfigError, "the same picture"),
        ({"styles": StyleSource([__file__])}, DataError, "test_generate_export.py"),
        ({"seed": 2**63 - 1, "num_samples": 2}, ConfigError, "64 bits"),
    ],
)
def test_bad_arguments_are_named(workdir, tmp_path, arguments, error, text):
    with pytest.raises(error, match=text) as caught:
        generate(workdir, output_dir=tmp_path, **arguments)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_refused_before_there_are_pictures(
    workdir, tmp_path, monkeypatch
):
    def fail(_):
        raise AssertionError("the model has been loaded")

    monkeypatch.setattr("experiments.setup.predictors.load_model", fail)
    (tmp_path / "out").write_text("a file")
    for output_dir in (tmp_path / "out", tmp_path / "out" / "in" / "it"):
        with pytest.raises(ConfigError, match=r"out is a file"):
            generate(workdir, output_dir=output_dir)


def test_a_label_map_named_overview_keeps_its_picture(workdir, source_dir, tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    for source, name in (("0", "overview"), ("1", "Overview_")):
        path = source_dir / "val_label" / f"{source}.png"
        (folder / f"{name}.png").write_bytes(path.read_bytes())
    paths = generate(workdir, output_dir=tmp_path / "out", labels=folder)
    assert {path.name for path in paths} == {"overview.png", "Overview_.png"}
    assert all(read(path).shape == (64, 64, 3) for path in paths)
    assert read(tmp_path / "out" / "overview__.png").shape[1] > 64


class Plain:
    """A model that sees no instances, has no encoder and knows one style."""

    use_instance = use_canvas = has_encoder = False
    class_style_dim = 0
    z_dim = None


@pytest.mark.parametrize(
    "arguments",
    [
        {"instances": ".", "labels": "."},
        {"styles": StyleSource([__file__])},
        {"seed": 0},
        {"num_samples": 2},
    ],
)
def test_what_the_model_cannot_use_is_refused(arguments, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.setup.predictors.load_model", lambda _: Plain())
    flag = next(iter(arguments)).replace("styles", "style_image")
    with pytest.raises(ConfigError, match=f"--{flag}=.*leave it out"):
        generate("model", output_dir=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_label_id_outside_the_classes_is_named(workdir, tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    Image.fromarray(np.full((64, 64), 9, np.uint8)).save(folder / "x.png")
    with pytest.raises(DataError, match=r"x\.png.*9"):
        generate(workdir, output_dir=tmp_path / "out", labels=folder)


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_model_that_is_none_is_named(name, tmp_path):
    with pytest.raises(ConfigError, match="--model"):
        load_model(tmp_path / name)


def test_a_server_makes_the_pictures_of_its_export(exported, source_dir, data_dir, tmp_path):
    pytest.importorskip("tensorflow_serving")
    from serving_doubles import ServingDouble

    style = StyleSource([str(source_dir / "val_img" / "0.png")])
    folders = {"labels": source_dir / "val_label", "instances": source_dir / "val_inst"}
    with ServingDouble("tiny", exported) as double:
        for index, options in enumerate(
            [
                {**folders, "num_samples": 2, "seed": 5},
                {**folders, "styles": style},
                {"data_dir": str(data_dir)},
            ]
        ):
            local = generate(exported, output_dir=tmp_path / f"a{index}", **options)
            remote = generate(
                endpoint=double.endpoint,
                model_name="tiny",
                output_dir=tmp_path / f"b{index}",
                **options,
            )
            for one, other in zip(local, remote, strict=True):
                np.testing.assert_array_equal(read(one), read(other))


def test_an_export_has_no_maps_of_its_own(exported, data_dir, tmp_path):
    with pytest.raises(ConfigError, match=r"--data_dir: an export does not say .* --labels"):
        generate(exported, output_dir=tmp_path / "a")
    paths = generate(exported, output_dir=tmp_path / "b", data_dir=str(data_dir), max_labels=1)
    assert [path.name for path in paths] == ["0.png"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"model": ".", "endpoint": "http://x"}, "give one of the two"),
        ({"endpoint": "http://x"}, "give --model_name"),
        ({"endpoint": "x:1", "model_name": "y"}, "give grpc://HOST:PORT"),
    ],
)
def test_a_model_and_a_server_exclude_each_other(arguments, text, tmp_path):
    with pytest.raises(ValueError, match=text):
        generate(output_dir=tmp_path, **arguments)


def test_scores_are_of_a_model_or_a_server(tmp_path):
    with pytest.raises(ConfigError, match="give one of the two"):
        evaluate(output_dir=tmp_path)


def test_a_workdir_its_export_and_a_server_have_the_same_scores(
    workdir, exported, data_dir, tmp_path, cheap
):
    pytest.importorskip("tensorflow_serving")
    from serving_doubles import ServingDouble

    options = {
        "pictures": Pictures(data_dir=str(data_dir)),
        "judged_by": JudgedBy(lpips=False),
    }
    with ServingDouble("tiny", exported) as double:
        whole, export, served = (
            evaluate(output_dir=tmp_path / name, **model, **options)
            for name, model in {
                "workdir": {"model": workdir},
                "export": {"model": exported},
                "server": {"endpoint": double.endpoint, "model_name": "tiny"},
            }.items()
        )
    assert export["scores"] == served["scores"]
    for (name, one), (_, other) in zip(
        flat_scores(whole["scores"]), flat_scores(export["scores"]), strict=True
    ):
        # Levels of 255 that rounding may have moved.
        assert one["value"] == pytest.approx(other["value"], rel=1e-3, abs=1e-3), name
