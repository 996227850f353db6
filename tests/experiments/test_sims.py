"""SIMS from end to end: canvases are composed, and a network that refines them is trained."""

import contextlib
import io
import json
import shlex
import shutil

import numpy as np
import pytest
import tensorflow as tf
from eager import eager
from PIL import Image
from tiny_experiment import get_config

from experiments.command_line.main import main
from experiments.commands.evaluate import judges as judges_module
from experiments.commands.evaluate.evaluate import evaluate
from experiments.commands.evaluate.judges import FeatureNetwork
from experiments.commands.evaluate.options import JudgedBy
from experiments.commands.evaluate.pairs import folder_pairs
from experiments.commands.study import make
from experiments.commands.sweep.checks import check_runs
from experiments.commands.sweep.pictures import read_samples
from experiments.commands.sweep.runs import Run
from experiments.commands.train import train
from experiments.setup import predictors
from experiments.setup.assemble import make_gaugan
from experiments.setup.config import Config, ConfigError
from experiments.setup.initialization import initialize
from experiments.setup.layouts import dataset_layouts, folder_layouts
from experiments.setup.models import ExportedModel
from experiments.setup.trained_model import load_workdir
from pipelines.prepare.compose import compose_canvases
from pipelines.schema import DataError, LabelSet


def sims():
    config = get_config()
    config.change(
        {
            "name": "sims",
            "data.use_canvas": True,
            "generator.architecture": "pix2pixhd",
            "generator.conditioning": "affine",
            "generator.z_dim": 0,
            "generator.num_downsamplings": 2,
            "generator.num_blocks": 1,
            "encoder.enabled": False,
            "train.steps": 2,
            "train.statistics_batches": 1,
        }
    )
    return config


@pytest.fixture(scope="module")
def composed(data_dir, tmp_path_factory):
    root = tmp_path_factory.mktemp("composed")
    shutil.copytree(data_dir / "paired_folder", root / "paired_folder")
    compose_canvases("paired_folder", data_dir=root)
    return root


@pytest.fixture(scope="module")
def training(composed, tmp_path_factory):
    """The workdir of a training, and what it said."""
    # A name that a shell would split.
    workdir = tmp_path_factory.mktemp("runs") / "my sims"
    with eager(), contextlib.redirect_stderr(io.StringIO()) as said:
        assert train(sims(), data_dir=composed, workdir=workdir, strategy="one") == 2
    return workdir, said.getvalue()


@pytest.fixture(scope="module")
def trained(training):
    return training[0]


@pytest.fixture(scope="module")
def model(trained, loads_once):
    return predictors.load_model(trained)


def test_networks_see_labels_canvas_and_edges(trained):
    loaded = load_workdir(trained)
    # Four classes and unknown, a canvas of four channels, edges.
    assert loaded.generator.semantic_channels == 5 + 4 + 1
    assert loaded.generator.conv_in.kernel.shape[2] == 10
    losses = [json.loads(line) for line in (trained / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in losses] == [1, 2]
    assert all(np.isfinite(value) for line in losses for value in line.values())


def test_the_canvas_changes_the_picture_and_gets_gradients(model):
    random = np.random.default_rng(0)
    label = random.integers(0, 5, (1, 64, 64)).astype(np.int32)
    maps = {"label": label, "instance": label}
    made = [
        model.generate({**maps, "canvas": np.full((1, 64, 64, 4), value, np.float32)}, None)
        for value in (0.0, 1.0)
    ]
    assert (made[0] != made[1]).any()

    gan = make_gaugan(sims(), LabelSet(("a",) * 4, ((0, 0, 0),) * 5, True, True))
    batch = {"canvas": tf.random.stateless_uniform((1, 64, 64, 4), [0, 0]), **maps}
    with tf.GradientTape() as tape:
        semantics = gan.semantics(batch)
        tape.watch(semantics.dense)
        loss = tf.reduce_mean(tf.square(gan.generator(inputs=semantics, training=True)))
    by_channel = tf.reduce_sum(tf.abs(tape.gradient(loss, semantics.dense)), [0, 1, 2])
    assert (by_channel.numpy() > 0).all()


def test_a_training_advises_commands_that_take_its_model(
    training, cheap, tmp_path, monkeypatch, capsys
):
    _, _, advice = training[1].partition("Next:\n")
    commands = [shlex.split(line.partition("run.py ")[2]) for line in advice.splitlines()]
    assert [command[0] for command in commands] == ["generate", "evaluate"]
    monkeypatch.chdir(tmp_path)
    more = {"generate": [], "evaluate": ["--nolpips", "--cache_dir="]}
    for command in commands:
        assert main([*command, *more[command[0]]]) == 0, capsys.readouterr().err
    page = next((tmp_path / "out").glob("*_evaluation/report.html")).read_text()
    assert page.count("<p>Label map, canvas, generated, real.</p>") == 2


def test_samples_show_the_canvas(trained):
    path = trained / "samples" / "step-000002.png"
    with Image.open(path) as picture:
        # Two rows of label map, canvas, generated, real, with two pixels between.
        assert picture.size == (4 * 66 - 2, 2 * 66 - 2)
        pixels = np.asarray(picture)
    assert "step-000002: label | canvas | generated | real" in (trained / "report.html").read_text()
    # The sweep's picture has the same three columns as for the other variants.
    for row, triple in enumerate(read_samples(path, 64, 64)):
        for cell, place in zip(triple, (0, 2, 3), strict=True):
            left, top = 66 * place, 66 * row
            np.testing.assert_array_equal(cell, pixels[top : top + 64, left : left + 64])


def test_evaluate_and_generate_take_the_held_out_canvases(trained, tmp_path, monkeypatch):
    network = FeatureNetwork("efficientnet_lite2", 8, 3, "0", lambda x: tf.reduce_mean(x, [1, 2]))
    monkeypatch.setattr(judges_module, "load_feature_network", lambda _: network)
    content = evaluate(
        trained, output_dir=tmp_path / "e", judged_by=JudgedBy(lpips=False), batch_size=1
    )
    assert content["protocol"]["dataset"] == "paired_folder_canvases"
    assert np.isfinite(content["scores"]["l1"]["value"])
    assert main(["generate", f"--model={trained}", f"--output_dir={tmp_path / 'g'}"]) == 0
    assert {path.name for path in (tmp_path / "g").iterdir()} == {"0.png", "1.png", "overview.png"}


def test_files_get_the_canvases_that_the_data_set_has(model, source_dir):
    folders = source_dir / "val_label", source_dir / "val_inst"
    pictures = source_dir / "val_img"
    for instances in (folders[1], None):
        _, layouts = folder_layouts(model, folders[0], instances, None)
        pairs = folder_pairs(model, folders[0], pictures, instances).pairs
        for layout, pair in zip(layouts, pairs, strict=True):
            np.testing.assert_array_equal(layout.maps["canvas"], pair.maps["canvas"])
            if instances is not None:
                _, held_out = dataset_layouts(model, None, 8)
                same = {each.name: each.maps["canvas"] for each in held_out}
                np.testing.assert_array_equal(layout.maps["canvas"], same[layout.name])


def test_a_study_compares_it_with_a_model_that_sees_no_canvas(model, tmp_path, monkeypatch):
    seen = []

    def predict(name, inputs):
        seen.append(set(inputs))
        return {"image": np.zeros((1, 64, 64, 3), np.uint8)}

    config = sims()
    config.data.use_canvas, config.data.use_instance = False, True
    content = {"config": config.to_dict(), "labels": model.labels.to_metadata()}
    models = {"plain": ExportedModel(content, tmp_path, predict), "sims": model}
    monkeypatch.setattr(make, "load_model", models.get)
    # Whichever is named first, the one with the canvas says which data set is read.
    make.make_study(["plain", "sims"], output_dir=tmp_path / "s", num_layouts=1, num_checks=1)
    assert seen == [{"label", "instance"}]
    label = np.zeros((1, 64, 64), np.int32)
    with pytest.raises(ConfigError, match="sees a canvas beside each label map, and got none"):
        model.generate({"label": label, "instance": label}, None)


def test_what_cannot_compose_is_refused_in_one_line(trained, tmp_path, capsys):
    out = f"--output_dir={tmp_path / 'out'}"
    needs = "needs a canvas beside each label map"
    for arguments, said in (
        (["export", out], needs),
        (["convert", "--target=nvlabs", f"--output={tmp_path / 'o'}"], "no official counterpart"),
    ):
        assert main([arguments[0], f"--model={trained}", *arguments[1:]]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_training_without_canvases_names_the_command(data_dir, tmp_path, capsys):
    with pytest.raises(DataError, match="the command compose --dataset=paired_folder"):
        train(sims(), data_dir=data_dir, workdir=tmp_path, strategy="one")
    run = Run("sims", "sims", "", sims(), (), tmp_path)
    settings = {"max_images": None, "features": "efficientnet_lite2", "segmenter": None}
    with pytest.raises(DataError, match="the command compose --dataset=paired_folder"):
        check_runs([run], str(data_dir), settings)
    arguments = ["--config=ablations:sims", f"--data_dir={data_dir}", f"--workdir={tmp_path}"]
    assert main(["train", *arguments]) == 2
    assert "compose --dataset=landscapes/64x64" in capsys.readouterr().err


def test_a_training_goes_on_with_a_canvas_or_without(trained, composed, data_dir, tmp_path):
    config = sims()
    config.data.use_canvas = False
    with pytest.raises(ConfigError, match=r"begun with data\.use_canvas=True, not False"):
        train(config, data_dir=data_dir, workdir=trained, strategy="one")
    config.init_from = str(trained)
    with pytest.raises(ConfigError, match="it was trained with a canvas beside the label map"):
        train(config, data_dir=data_dir, workdir=tmp_path / "a", strategy="one")
    config.init_from, config.teacher = "", str(trained)
    config.loss.distillation_feature_weight = 0.0
    with pytest.raises(ConfigError, match=r"the teacher has data\.use_canvas=True"):
        train(config, data_dir=data_dir, workdir=tmp_path / "b", strategy="one")


def test_weights_of_the_canvas_are_taken_over(trained):
    source = load_workdir(trained)
    config = sims()
    config.init_from, config.data.use_instance = str(trained), True
    labels = source.labels
    gan = make_gaugan(config, labels)
    initialize(gan, config, labels)
    same = zip(gan.average_generator.weights, source.generator.weights, strict=True)
    for one, other in same:
        np.testing.assert_array_equal(one, other)
    # One class more: its channel alone begins anew, those behind it move by one.
    more = labels._replace(
        class_names=(*labels.class_names, "class 4"), palette=((0, 0, 0), *labels.palette)
    )
    gan = make_gaugan(config, more)
    initialize(gan, config, more)
    kernel, before = (
        net.conv_in.kernel.numpy() for net in (gan.average_generator, source.generator)
    )
    np.testing.assert_array_equal(np.delete(kernel, 4, axis=2), before)


def test_earlier_configurations_have_no_canvas():
    values = Config().to_dict()
    del values["data"]["use_canvas"]
    assert not Config.from_dict(values).data.use_canvas
