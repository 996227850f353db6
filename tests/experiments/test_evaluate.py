"""Scores of a tiny trained model, and what cannot be scored."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from experiments.command_line.main import main
from experiments.commands.evaluate.evaluate import evaluate, flat_scores
from experiments.commands.evaluate.options import JudgedBy, Pictures, Styles
from experiments.setup.config import ConfigError
from pipelines.schema import BadFileError, LabelSet

pytestmark = pytest.mark.usefixtures("loads_once")
NO_LPIPS = JudgedBy(lpips=False)


def test_a_workdir(workdir, cheap, tmp_path, capsys):
    content = evaluate(workdir, output_dir=tmp_path / "e", judged_by=NO_LPIPS, batch_size=2)
    assert content == json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert content["protocol"]["style"] == "photograph"
    assert content["protocol"]["count"] == 2
    page = (tmp_path / "e" / "report.html").read_text()
    for _, score in flat_scores(content["scores"]):
        assert np.isfinite(score["value"])
        assert f"<td>{score['value']:.4g}</td>" in page
    assert "are biased upwards" in page or "is biased upwards" in page
    assert not re.search(r"https?://", page)
    assert {path.name for path in (tmp_path / "e").iterdir()} == {"evaluation.json", "report.html"}
    assert "frechet_distance" in capsys.readouterr().out


def test_folders_give_the_scores_of_the_split(workdir, cheap, source_dir, tmp_path):
    one = evaluate(workdir, output_dir=tmp_path / "a", judged_by=NO_LPIPS)
    folders = Pictures(
        labels=source_dir / "val_label",
        images=source_dir / "val_img",
        instances=source_dir / "val_inst",
    )
    two = evaluate(workdir, output_dir=tmp_path / "b", pictures=folders, judged_by=NO_LPIPS)
    for (name, a), (_, b) in zip(
        flat_scores(one["scores"]), flat_scores(two["scores"]), strict=True
    ):
        # Levels of 255 that rounding may have moved.
        assert a["value"] == pytest.approx(b["value"], rel=1e-3, abs=1e-3), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"judged_by": JudgedBy(features=["resnet"])},
            "--features=resnet: give some of efficientnet_lite2",
        ),
        ({"judged_by": JudgedBy(features=[])}, "--features=: give some of"),
        ({"pictures": Pictures(labels=".")}, "--labels: no effect without --images"),
        ({"pictures": Pictures(images=".")}, "--images: no effect without --labels"),
        ({"pictures": Pictures(labels="/none", images=".")}, "--labels=/none: no such folder"),
        ({"pictures": Pictures(max_images=1)}, "--max_images=1: give 2 or more"),
        ({"styles": Styles(num_styles=0)}, "--num_styles=0"),
        ({"pictures": Pictures(split="test")}, "--split=test: paired_folder has train, val"),
        (
            {"judged_by": JudgedBy(lpips=False, segmenter="/none")},
            "--segmenter=/none: no segmenter.json in it",
        ),
        ({"endpoint": "http://localhost:1"}, "--model or --endpoint: give one of the two"),
    ],
)
def test_arguments_that_cannot_be_used(workdir, cheap, tmp_path, options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        evaluate(workdir, output_dir=tmp_path / "e", **{"judged_by": NO_LPIPS, **options})
    assert not (tmp_path / "e").exists()


def test_folders_that_do_not_pair(workdir, cheap, source_dir, tmp_path):
    for kind in ("label", "img"):
        (tmp_path / kind).mkdir()
    Image.new("RGB", (72, 72)).save(tmp_path / "img" / "other.png")
    Image.new("L", (72, 72)).save(tmp_path / "label" / "a.png")
    pictures = Pictures(labels=tmp_path / "label", images=tmp_path / "img")
    options = {"pictures": pictures, "judged_by": NO_LPIPS}
    with pytest.raises(ConfigError, match=r"no file for the label map a \(of 1 without one\)"):
        evaluate(workdir, output_dir=tmp_path / "e", **options)
    for name, size in (("a", (72, 72)), ("b", (72, 72))):
        Image.new("RGB", size).save(tmp_path / "img" / f"{name}.png")
    Image.new("L", (80, 72)).save(tmp_path / "label" / "b.png")
    with pytest.raises(BadFileError, match=r"label/b\.png: 80x72 pixels .*img/b\.png has 72x72"):
        evaluate(workdir, output_dir=tmp_path / "e", **options)
    Image.new("L", (72, 72)).save(tmp_path / "label" / "b.png")
    # Of three files, the one that differs is named.
    (tmp_path / "inst").mkdir()
    for name, width in (("a", 72), ("b", 80)):
        Image.new("L", (width, 72)).save(tmp_path / "inst" / f"{name}.png")
    pictures = dataclasses.replace(pictures, instances=tmp_path / "inst")
    with pytest.raises(BadFileError, match=r"inst/b\.png: 80x72 pixels .*img/b\.png has 72x72"):
        evaluate(workdir, output_dir=tmp_path / "e", pictures=pictures, judged_by=NO_LPIPS)
    assert not (tmp_path / "e").exists()


def test_all_files_are_looked_at_before_a_picture_is_made(
    workdir, source_dir, tmp_path, monkeypatch, capsys
):
    """No network is loaded, and no warning comes before the error."""
    monkeypatch.setattr("experiments.commands.evaluate.judges.load_judges", None)
    images = shutil.copytree(source_dir / "val_img", tmp_path / "img")
    whole = (images / "1.png").read_bytes()
    (images / "1.png").write_bytes(whole[: len(whole) // 2])
    folders = [f"--labels={source_dir / 'val_label'}", f"--images={images}"]
    assert main(["evaluate", f"--model={workdir}", f"--output_dir={tmp_path / 'e'}", *folders]) == 2
    error = capsys.readouterr().err
    assert f"error: {images / '1.png'}: truncated or damaged" in error
    assert error.count("\n") == 1


def test_a_photograph_without_a_map_is_left_out_and_named(
    workdir, cheap, source_dir, tmp_path, capsys
):
    images = shutil.copytree(source_dir / "val_img", tmp_path / "img")
    shutil.copy(images / "0.png", images / "more.png")
    pictures = Pictures(labels=source_dir / "val_label", images=images)
    content = evaluate(workdir, output_dir=tmp_path / "e", pictures=pictures, judged_by=NO_LPIPS)
    assert f"{images}: no label map for more; left out" in content["warnings"]
    assert "warning: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--labels={}/none", "--images={}/empty"], "--labels={}/none: no such folder"),
        (["--labels={}/empty", "--images={}/empty"], "{}/empty: no images in it"),
        (["--labels={}/labels", "--images={}/empty"], "{}/empty: no images in it"),
        (["--labels={}/labels", "--images={}/labels"], "1 pair of picture and map; distances need"),
        (["--segmenter={}/empty"], "--segmenter={}/empty: no segmenter.json in it"),
        (["--features=vgg19"], "--features=vgg19: give some of"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(flags, message, workdir, cheap, tmp_path, capsys):
    for name in ("empty", "labels"):
        (tmp_path / name).mkdir()
    Image.new("L", (72, 72)).save(tmp_path / "labels" / "a.png")
    flags = [flag.format(tmp_path) for flag in flags]
    arguments = [f"--model={workdir}", f"--output_dir={tmp_path / 'out'}", "--cache_dir="]
    assert main(["evaluate", *arguments, "--nolpips", *flags]) == 2
    error = capsys.readouterr().err
    assert message.format(tmp_path) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["class 0"], "the segmenter has 1 class, and the data set 4; give one that was trained"),
        (["sky", "class 1", "class 2", "class 3"], "has 'sky' as class 0, and the data set "),
    ],
)
def test_a_segmenter_of_other_classes(names, found, workdir, cheap, tmp_path, capsys):
    folder = tmp_path / "segmenter"
    folder.mkdir()
    labels = LabelSet(tuple(names), ((0, 0, 0),) * (len(names) + 1), True, False)
    description = {"image_size": [32, 32], "validation": {"mean_iou": 1.0}}
    (folder / "segmenter.json").write_text(
        json.dumps({**description, "labels": labels.to_metadata()})
    )
    arguments = [f"--model={workdir}", f"--output_dir={tmp_path / 'out'}", "--cache_dir="]
    assert main(["evaluate", *arguments, "--nolpips", f"--segmenter={folder}"]) == 2
    error = capsys.readouterr().err
    # There are no weights: what differs is found before they are looked for.
    assert f"--segmenter={folder}: " in error
    assert found in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_model_that_makes_nan_is_named(workdir, cheap, tmp_path, monkeypatch, capsys):
    from experiments.setup import predictors

    def broken(inputs, z):
        return tf.fill([*inputs["label"].shape, 3], np.nan)

    class Broken(predictors.WorkdirModel):
        _networks = (broken, True, lambda image, training: [tf.zeros([len(image), 8])])

    monkeypatch.setattr(predictors, "load_model", lambda path: Broken(Path(path)))
    arguments = [f"--model={workdir}", f"--output_dir={tmp_path / 'out'}", "--cache_dir="]
    assert main(["evaluate", *arguments, "--nolpips"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: --model={workdir}: the model makes NaN or infinity")
    assert "first for the map 0)" in error
    assert not (tmp_path / "out").exists()


def test_few_pictures_are_warned_of_and_the_kernel_distance_is_offered(
    workdir, cheap, tmp_path, capsys
):
    evaluate(workdir, output_dir=tmp_path / "e", judged_by=NO_LPIPS)
    error = capsys.readouterr().err
    assert "warning: FD(efficientnet_lite2) of 2 pictures is biased upwards" in error
    assert "warning: intervals of 2 pictures are too narrow; give 20 pictures or more" in error
    assert "3 numbers; compare KD, or give more pictures" in error


@pytest.fixture
def trained_with_vgg(workdir, tmp_path):
    """A workdir whose configuration has a loss on VGG features."""
    copy = shutil.copytree(workdir, tmp_path / "with_vgg")
    content = json.loads((copy / "config.json").read_text())
    content["config"]["loss"]["perceptual_weight"] = 10.0
    (copy / "config.json").write_text(json.dumps(content))
    return copy


def test_a_loss_on_the_features_that_score(trained_with_vgg, cheap, tmp_path):
    with pytest.raises(ConfigError, match=r"--features=vgg16: .* flatters it; give one of eff"):
        evaluate(
            trained_with_vgg,
            output_dir=tmp_path / "e",
            judged_by=JudgedBy(features=["alexnet", "vgg16"]),
        )
    assert not (tmp_path / "e").exists()
    judged_by = JudgedBy(features=["alexnet"], lpips=False)
    content = evaluate(trained_with_vgg, output_dir=tmp_path / "e", judged_by=judged_by)
    assert "alexnet" in content["scores"]
