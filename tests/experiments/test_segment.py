"""Training of segmenters, and judging with them."""

import json
import re

import numpy as np
import pytest
from eager import eager

from experiments.commands.evaluate.evaluate import evaluate
from experiments.commands.evaluate.options import JudgedBy
from experiments.commands.segment import score, segment
from experiments.setup.config import ConfigError
from experiments.setup.segmenter_network import B0, WEIGHTS, load_network
from pipelines.reading.prepared import label_set, open_dataset

pytestmark = pytest.mark.usefixtures("eagerly")
OPTIONS = {"height": 64, "batch_size": 2, "checkpoint_every": 1}


@pytest.fixture(scope="module", autouse=True)
def _small_network():
    """One block a stage: a quarter of the time of tracing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(B0, "layerwise_depths", [1, 1, 1, 1])
        patch.setitem(B0, "layerwise_num_heads", [1, 1, 1, 1])
        patch.setitem(B0, "hidden_dims", [8, 16, 24, 32])
        yield


@pytest.fixture(scope="module")
def segmenter(data_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("segmenter")
    with eager():
        segment("paired_folder", data_dir=data_dir, workdir=workdir, steps=2, **OPTIONS)
    return workdir


def test_it_says_how_well_it_does_on_real_pictures(segmenter, data_dir):
    network, content = load_network(segmenter)
    scores = content["validation"]
    assert scores["count"] == 2
    # What has been scored is what has been saved, in half precision.
    builder = open_dataset("paired_folder", data_dir)
    assert score(network, builder, label_set(builder), (64, 64), batch_size=2) == scores
    with np.load(segmenter / WEIGHTS) as arrays:
        assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    assert 0 <= scores["mean_iou"] <= 1
    assert content["image_size"] == [64, 64]
    image = np.ones([1, 64, 64, 3], np.float32)
    logits = network(image)
    assert logits.shape == (1, 64, 64, 4)
    again, _ = load_network(segmenter)
    np.testing.assert_array_equal(again(image), logits)


def test_the_same_command_scores_again_and_another_is_refused(segmenter, data_dir):
    before = (segmenter / WEIGHTS).read_bytes()
    segment("paired_folder", data_dir=data_dir, workdir=segmenter, steps=2, **OPTIONS)
    assert (segmenter / WEIGHTS).read_bytes() == before
    with pytest.raises(
        ConfigError, match=r"begun with steps=2, not 3; give another --workdir, or delete"
    ):
        segment("paired_folder", data_dir=data_dir, workdir=segmenter, steps=3, **OPTIONS)


def test_evaluate_judges_with_it(segmenter, workdir, tmp_path, cheap):
    judged_by = JudgedBy(lpips=False, segmenter=segmenter)
    content = evaluate(workdir, output_dir=tmp_path, judged_by=judged_by)
    real = content["scores"]["segmentation"]["real"]
    assert len(real["iou"]) == 4
    assert "Classes" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "evaluation.json").read_text())["protocol"]["segmenter"]


def test_a_damaged_segmenter(segmenter, tmp_path):
    (tmp_path / "segmenter.json").write_text((segmenter / "segmenter.json").read_text())
    with pytest.raises(ConfigError, match=r"segmenter.npz is missing or damaged; train it again"):
        load_network(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"x" * 100)
    with pytest.raises(ConfigError, match=r"segmenter.npz is missing or damaged; train it again"):
        load_network(tmp_path)
    np.savez(tmp_path / WEIGHTS, np.zeros(3))
    with pytest.raises(ConfigError, match=r"segmenter.npz does not fit .*; train it again"):
        load_network(tmp_path)
    (tmp_path / "segmenter.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"segmenter.json cannot be read"):
        load_network(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height": 40}, "--height=40: give a multiple of 32, such as 32"),
        ({"steps": 0}, "--steps=0: give 1 or more"),
        ({"height": 0}, "--height=0: give a multiple of 32, such as 32"),
        ({"checkpoint_every": 0}, "--checkpoint_every=0: give 1 or more"),
        ({"learning_rate": 0.0}, "--learning_rate=0.0: give a number above 0"),
        ({"learning_rate": float("nan")}, "--learning_rate=nan: give a number above 0"),
    ],
)
def test_arguments_that_cannot_be_used(data_dir, tmp_path, options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        segment("paired_folder", data_dir=data_dir, workdir=tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_a_workdir_that_is_a_file(data_dir, tmp_path):
    (tmp_path / "s").touch()
    with pytest.raises(ConfigError, match=f"--workdir={tmp_path}/s: {tmp_path}/s is a file"):
        segment("paired_folder", data_dir=data_dir, workdir=tmp_path / "s")


def test_a_training_that_fails_is_not_kept(data_dir, tmp_path, segmenter):
    options = {**OPTIONS, "data_dir": data_dir, "workdir": tmp_path, "steps": 3}
    with pytest.raises(
        ConfigError, match=r"the loss is nan after step \d; give a lower --learning"
    ):
        segment("paired_folder", **options, learning_rate=1e30)
    assert not (tmp_path / WEIGHTS).exists()
    # The first step had a rate of zero, and what came of it is a checkpoint.
    whole = next((tmp_path / "backup").glob("*.h5")).read_bytes()
    next((tmp_path / "backup").glob("*.h5")).write_bytes(whole[:1000])
    with pytest.raises(ConfigError, match=rf"backup/.*h5 is damaged; delete {tmp_path} to train"):
        segment("paired_folder", **options, learning_rate=1e30)


def test_before_the_first_checkpoint_settings_can_change(data_dir, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    options = {**OPTIONS, "data_dir": data_dir, "workdir": tmp_path}
    monkeypatch.setattr("experiments.commands.segment._fit", interrupted)
    for steps in (2, 3):
        with pytest.raises(KeyboardInterrupt):
            segment("paired_folder", **options, steps=steps)
    assert json.loads((tmp_path / "settings.json").read_text())["steps"] == 3
